"""What a run does before and after its jobs."""

from retake import guard, server, unmoved

unmoved.ask(workflow, config)  # ends here where this was asked before and no file has moved since


onstart:
    server.start(workflow)


onsuccess:
    guard.sync(config)


onerror:
    guard.sync(config)

"""What a run does before and after its jobs."""

from retake import environment, guard, order, server, unmoved

environment.plan_without_pauses()
unmoved.ask(workflow, config)  # ends here where this was asked before and no file has moved since


onstart:
    environment.collect_as_usual()
    guard.make_folders(PLAN.folders())
    order.start_longest_first(workflow)
    server.start(workflow)
    guard.sync_beside(config)


onsuccess:
    guard.sync(config)


onerror:
    guard.sync(config)

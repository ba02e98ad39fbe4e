from tests.unit.planning.conftest import project  # noqa: F401 - the invented project

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread_and_torch_left_as_it_was():
    torch.set_num_threads(1)
    yield
    torch.set_deterministic_debug_mode("default")

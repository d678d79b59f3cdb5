"""What of this process changes bits is read, told apart, and made the same in workers."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from seedbed import environment
from seedbed.executors import ProcessExecutor
from seedbed.records import Recording
from seedbed.seeds import Assignment
from seedbed.torch_settings import apply_torch_settings, torch_settings
from tests.test_executor_conformance import task
from tests.trainings import Training, plain_net

CHANGES: dict[str, Callable[[], object]] = {
    "default_dtype": lambda: torch.set_default_dtype(torch.float64),
    "deterministic_algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "flush_denormal": lambda: torch.set_flush_denormal(True),
    "float32_matmul_precision": lambda: torch.set_float32_matmul_precision("medium"),
    "attention_flash": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "attention_math": lambda: torch.backends.cuda.enable_math_sdp(False),
    "attention_memory_efficient": lambda: torch.backends.cuda.enable_mem_efficient_sdp(False),
    "onednn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "onednn_deterministic": lambda: setattr(torch.backends.mkldnn, "deterministic", True),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
}


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    before = torch_settings()
    yield
    apply_torch_settings(before)
    assert torch_settings() == before


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_that_changes_bits_is_another_environment(name: str) -> None:
    before = environment.capture()
    CHANGES[name]()
    after = environment.capture()
    assert name in {line.partition(":")[0] for line in before.differences(after)}
    assert before.hash != after.hash


def test_precisions_that_disagree_are_no_error() -> None:
    """Torch refuses to say one precision for all where a backend was given its own."""
    code = (
        "import torch; from seedbed.torch_settings import applied, torch_settings\n"
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'\n"
        "with applied(torch_settings()): print(torch_settings()['float32_matmul_precision'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "as each backend says"


def test_settings_are_json_values() -> None:
    settings = torch_settings()
    assert json.loads(json.dumps(settings)) == settings


class TellsSettings(torch.nn.Module):
    """Its buffers say how torch is set where it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain_net()
        told = json.dumps(torch_settings(), sort_keys=True)
        self.register_buffer("told", torch.tensor(list(told.encode())))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_workers_are_set_as_this_process_is() -> None:
    for name in ("deterministic_algorithms", "flush_denormal", "attention_flash", "onednn_deterministic"):
        CHANGES[name]()
    from safetensors.torch import load

    training = Training(model=TellsSettings, epochs=1, optimizer=functools.partial(torch.optim.SGD, lr=0.1))
    what = task(training.experiment(), Recording(weights=True))
    items = ProcessExecutor(1).run(what, iter([[Assignment.plain(0)]]))
    ((result,),) = [item for item in items if isinstance(item, list)]
    told = json.loads(bytes(load(result.weights)["told"].tolist()))
    assert told == torch_settings()

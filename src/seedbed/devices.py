"""Where runs are computed: a processor, or a GPU; and what of it the rest must know."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from seedbed.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# What libraries on a GPU read at their start, and choose their ways by.
CUDA_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUBLASLT_WORKSPACE_SIZE",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
)
_NAME = re.compile(r"(?P<kind>[a-z]+)(:(?P<index>[0-9]+))?")


class Device:
    """A processor; other kinds say what differs.

    Attributes:
        kind: what a study keeps of it: results of two GPUs of one kind agree, those of a GPU and a processor do not.
        index: which one of its kind; None for the one that torch takes of itself.
        alike: settings of torch (names as of ``torch_settings``) under which every engine draws the same numbers.
        determined: settings under which a step gives the same bits each time.
        records_steps: whether what is sent to it can be recorded once and sent again, as a CUDA graph is.
    """

    kind: ClassVar[str] = "cpu"
    records_steps: ClassVar[bool] = False
    alike: ClassVar[Mapping[str, Any]] = {}
    determined: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, index: int | None = None) -> None:
        self.index = index

    @property
    def name(self) -> str:
        """As it is asked for: ``cpu``, ``cuda``, ``cuda:1``."""
        return self.kind if self.index is None else f"{self.kind}:{self.index}"

    @property
    def where(self) -> torch.device:
        """As torch takes it."""
        import torch

        return torch.device(self.kind) if self.index is None else torch.device(self.kind, self.index)

    @property
    def is_processor(self) -> bool:
        """Whether it is the processor, whose memory the data lie in."""
        return self.kind == "cpu"

    def check(self) -> None:
        """Raise an InputError where it cannot be used by this process."""

    @property
    def is_there(self) -> bool:
        """Whether it can be used by this process."""
        try:
            self.check()
        except InputError:
            return False
        return True

    def settled(self) -> Device:
        """The one of its kind that torch takes in this process."""
        return self

    def prepare(self) -> None:
        """What must be there before the process uses it for the first time."""

    def release(self) -> None:
        """Give back memory that this process holds without need."""

    def identity(self) -> dict[str, Any]:
        """What of it can change bits, beside what every environment has."""
        return {}

    def free_memory(self) -> int:
        """Bytes that may still be taken."""
        from seedbed import memory

        return memory.available()

    def state(self) -> Tensor:
        """The state of the global generator that a step draws from."""
        import torch

        return torch.get_rng_state()

    def generator(self, state: Tensor | None = None) -> torch.Generator:
        """A generator of its own for one run."""
        import torch

        made = torch.Generator(self.where)
        if state is not None:
            made.set_state(state)
        return made


class Cuda(Device):
    """A GPU of NVIDIA."""

    kind = "cuda"
    records_steps = True
    # Attention is held to plain mathematics, since fused kernels draw their dropout otherwise than single operations.
    alike: ClassVar[Mapping[str, Any]] = {
        "attention_flash": False,
        "attention_memory_efficient": False,
        "attention_cudnn": False,
        "attention_math": True,
    }
    # Memory that is read before it is written would be a defect; to fill it costs a kernel for each new tensor.
    determined: ClassVar[Mapping[str, Any]] = {
        "deterministic_algorithms": "error",
        "fill_uninitialized_memory": False,
        "cudnn_benchmark": False,
        "cudnn_deterministic": True,
    }

    def check(self) -> None:
        """Raise an InputError where torch has no CUDA, or there is no such GPU."""
        import torch

        if not torch.cuda.is_available():
            built = "finds no GPU" if torch.version.cuda else f"{torch.__version__} is built without CUDA"
            raise InputError(f"device {self.name} is asked for, and torch {built}")
        count = torch.cuda.device_count()
        if self.index is not None and self.index >= count:
            known = f"there are only cuda:0 to cuda:{count - 1}" if count > 1 else "there is only cuda:0"
            raise InputError(f"device {self.name} is asked for, and {known}")

    def settled(self) -> Device:
        """With its index."""
        import torch

        return self if self.index is not None else Cuda(torch.cuda.current_device())

    def prepare(self) -> None:
        """The workspaces of cuBLAS, which it needs to give the same bits each time, and reads at its start; and CUDA
        itself, so that the states of its generators can be kept."""
        import torch

        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.cuda.init()  # type: ignore[no-untyped-call]

    def release(self) -> None:
        """Give back what torch's allocator keeps."""
        import torch

        torch.cuda.empty_cache()

    def identity(self) -> dict[str, Any]:
        """The GPU's model, and the libraries."""
        import torch

        return {
            "gpu": torch.cuda.get_device_name(self.where),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            **{name: os.environ[name] for name in CUDA_VARIABLES if name in os.environ},
        }

    def free_memory(self) -> int:
        """Bytes that the GPU has free."""
        import torch

        self.release()
        return int(torch.cuda.mem_get_info(self.where)[0])

    def state(self) -> Tensor:
        """The state of this GPU's global generator."""
        import torch

        return torch.cuda.get_rng_state(self.where)


KINDS: dict[str, type[Device]] = {"cpu": Device, "cuda": Cuda}
CPU = Device()


def parse(name: str) -> Device:
    """The device of that name, whether it is there or not. Does not import torch.

    Raises:
        InputError: it is no name of a device.
    """
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None or match["kind"] not in KINDS or (match["kind"] == "cpu" and match["index"]):
        known = ", ".join(KINDS)
        raise InputError(f"device must be one of {known}, or one of several GPUs as in cuda:1; got {name!r}")
    return KINDS[match["kind"]](None if match["index"] is None else int(match["index"]))


def moved(value: Any, where: torch.device) -> Any:
    """A tensor, or what is made of tensors, on a device; everything else as it is."""
    if callable(getattr(value, "to", None)):  # packed sequences and batches of other libraries, too
        return value.to(where)
    if type(value) in (tuple, list):
        return type(value)(moved(each, where) for each in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(each, where) for each in value))
    if isinstance(value, dict):
        try:
            return type(value)((key, moved(each, where)) for key, each in value.items())
        except TypeError:  # a mapping that is made otherwise
            return {key: moved(each, where) for key, each in value.items()}
    return value

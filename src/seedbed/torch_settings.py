"""The settings of torch in this process that can change bits: read, and set in another process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.devices import CPU, Device


@dataclass(frozen=True)
class _Setting:
    """One setting of torch in this process: how it is read, as a JSON value, and how it is set."""

    read: Callable[[], Any]
    set: Callable[[Any], object]


def _settings() -> dict[str, _Setting]:
    """Every setting of torch that can change bits on a processor, by name; those that this torch has."""
    import torch

    backends, cuda = torch.backends, torch.backends.cuda
    settings = {
        "default_dtype": _Setting(
            lambda: _name(torch.get_default_dtype()), lambda name: torch.set_default_dtype(getattr(torch, name))
        ),
        "deterministic_algorithms": _Setting(
            lambda: ("off", "warn", "error")[torch.get_deterministic_debug_mode()],
            lambda mode: torch.set_deterministic_debug_mode("default" if mode == "off" else mode),
        ),
        "fill_uninitialized_memory": _of_attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
        "flush_denormal": _Setting(_flushes_denormal, torch.set_flush_denormal),
        "float32_matmul_precision": _Setting(_matmul_precision, _set_matmul_precision),
        "autocast": _Setting(
            lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)
        ),
        "autocast_dtype": _Setting(
            lambda: _name(torch.get_autocast_dtype("cpu")),
            lambda name: torch.set_autocast_dtype("cpu", getattr(torch, name)),
        ),
        "onednn": _of_attribute(backends.mkldnn, "enabled"),
        "onednn_deterministic": _of_attribute(backends.mkldnn, "deterministic"),
        "onednn_allow_tf32": _of_attribute(backends.mkldnn, "allow_tf32"),
        "opt_einsum": _of_attribute(backends.opt_einsum, "enabled"),
        "opt_einsum_strategy": _of_attribute(backends.opt_einsum, "strategy"),
        "quantized_engine": _of_attribute(backends.quantized, "engine"),
        # Which of these attention takes on a CPU too: flash, or the plain mathematics.
        "attention_flash": _Setting(cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
        "attention_memory_efficient": _Setting(cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
        "attention_math": _Setting(cuda.math_sdp_enabled, cuda.enable_math_sdp),
    }
    # What an older torch has not.
    if hasattr(cuda, "cudnn_sdp_enabled"):
        settings["attention_cudnn"] = _Setting(cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp)
    if hasattr(torch._C, "_get_nnpack_enabled"):
        settings["nnpack"] = _Setting(torch._C._get_nnpack_enabled, backends.nnpack.set_flags)
    for part in ("matmul", "conv", "rnn"):
        if hasattr(getattr(backends.mkldnn, part, None), "fp32_precision"):
            settings[f"onednn_{part}_precision"] = _of_attribute(getattr(backends.mkldnn, part), "fp32_precision")
    return settings


_MIXED = "as each backend says"


def _matmul_precision() -> str:
    """The setting for all backends; each has one of its own beside, and where they disagree, torch refuses to say."""
    import torch

    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return _MIXED


def _set_matmul_precision(value: str) -> None:
    import torch

    if value != _MIXED:
        torch.set_float32_matmul_precision(value)


def _of_cuda() -> dict[str, _Setting]:
    """What can change bits on a GPU beside."""
    import torch

    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    settings = {
        "cudnn": _of_attribute(cudnn, "enabled"),
        "cudnn_benchmark": _of_attribute(cudnn, "benchmark"),
        "cudnn_deterministic": _of_attribute(cudnn, "deterministic"),
        "cuda_autocast": _Setting(
            lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on)
        ),
        "cuda_autocast_dtype": _Setting(
            lambda: _name(torch.get_autocast_dtype("cuda")),
            lambda name: torch.set_autocast_dtype("cuda", getattr(torch, name)),
        ),
        "cuda_reduced_precision_fp16": _of_attribute(cuda.matmul, "allow_fp16_reduced_precision_reduction"),
        "cuda_reduced_precision_bf16": _of_attribute(cuda.matmul, "allow_bf16_reduced_precision_reduction"),
        "cuda_fp16_accumulation": _of_attribute(cuda.matmul, "allow_fp16_accumulation"),
    }
    if hasattr(cuda, "fp16_bf16_reduction_math_sdp_allowed"):  # of attention by plain mathematics
        settings["attention_math_reduced_precision"] = _Setting(
            cuda.fp16_bf16_reduction_math_sdp_allowed, cuda.allow_fp16_bf16_reduction_math_sdp
        )
    # TensorFloat32, as newer versions say it, or as older ones do: to mix both is an error.
    for name, holder in (("cuda_matmul", cuda.matmul), ("cudnn_conv", cudnn), ("cudnn_rnn", cudnn)):
        part = getattr(cudnn, name.removeprefix("cudnn_"), None) if holder is cudnn else holder
        if hasattr(part, "fp32_precision"):
            settings[f"{name}_precision"] = _of_attribute(part, "fp32_precision")
        else:
            settings[f"{name}_tf32"] = _of_attribute(holder, "allow_tf32")
    return settings


_OF_KIND: Mapping[str, Callable[[], dict[str, _Setting]]] = {"cuda": _of_cuda}


def _of_attribute(holder: Any, attribute: str) -> _Setting:
    return _Setting(lambda: getattr(holder, attribute, None), lambda value: setattr(holder, attribute, value))


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _flushes_denormal() -> bool:
    """Whether arithmetic in this thread gives 0 where the result is too small for a normal number."""
    import torch

    return float(torch.tensor(2.0**-126, dtype=torch.float32) * 0.5) == 0.0


def torch_settings(device: Device = CPU) -> dict[str, Any]:
    """Settings of torch in this process that change bits on a device, as JSON values; by name."""
    return {name: setting.read() for name, setting in {**_settings(), **_OF_KIND.get(device.kind, dict)()}.items()}


def settings_for(device: Device, *, determined: bool = True) -> dict[str, Any]:
    """The settings under which runs are computed on a device: this process's own, with those that make engines alike
    there, and a step give the same bits each time, where that is wanted."""
    own = torch_settings(device)
    wanted = {**device.alike, **(device.determined if determined else {})}
    return own | {name: value for name, value in wanted.items() if name in own}  # an older torch lacks some


def apply_torch_settings(wanted: Mapping[str, Any]) -> None:
    """Set this process's torch as ``wanted`` says; what it does not name stays as it is."""
    known = _settings()
    for of_kind in _OF_KIND.values():
        known |= of_kind()
    for name, value in wanted.items():
        setting = known[name]
        if setting.read() != value:
            setting.set(value)


@contextlib.contextmanager
def applied(wanted: Mapping[str, Any], device: Device = CPU, threads: int | None = None) -> Iterator[None]:
    """Run the block with torch set as ``wanted`` says, on so many threads, and put the settings back.

    Args:
        threads: of torch; where not given they stay as they are.
    """
    import torch

    before, threads_before = torch_settings(device), torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        apply_torch_settings(wanted)
        yield
    finally:
        apply_torch_settings(before)
        torch.set_num_threads(threads_before)

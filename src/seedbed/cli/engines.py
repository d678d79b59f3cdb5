"""seedbed engines."""

from __future__ import annotations

import json

import click

from seedbed.cli import DONE
from seedbed.cli.run import parse_parameters
from seedbed.errors import InputError


@click.command()
@click.argument("target")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the experiment.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="What is to compute: cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def engines(target: str, params: tuple[str, ...], device: str, as_json: bool) -> int:
    """Tell which engines can run an experiment, and why the others cannot.

    TARGET is as for ``run``. The engines are listed the fastest first: auto takes the first that can.
    """
    from seedbed import devices, targets
    from seedbed import engines as known
    from seedbed.building import make_data
    from seedbed.experiments import Experiment

    where = devices.parse(device)  # it need not be there
    experiment = targets.build(target, parse_parameters(params))
    if not isinstance(experiment, Experiment):
        raise InputError(f"{target} is a trial: it computes by itself, and no engine runs it")
    data = make_data(experiment, 0)
    reasons = {name: known.make(name, device=where).refusal(experiment, data) for name in known.ENGINES}
    taken = next(name for name, reason in reasons.items() if reason is None)
    if as_json:
        print(json.dumps({"auto": taken, "refusals": reasons}, indent=1))
        return DONE
    for name, reason in reasons.items():
        able = "can run it" + (", and auto takes it" if name == taken else "")
        print(f"{name}: {able if reason is None else f'cannot: {reason}'}")
    return DONE

"""The command ``seedbed``: parse, call, print. Heavy modules are loaded by the subcommand that needs them."""

from __future__ import annotations

import io
import keyword
import shlex
import sys
import traceback
from typing import Any, ClassVar

import click

from seedbed import __version__

DONE, NO, BAD_INPUT, CANNOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130


class _Lazy(click.Group):
    """Subcommands by name, imported when they are called; their one-line helps are here so that --help is quick."""

    commands_at: ClassVar[dict[str, tuple[str, str]]] = {
        "run": ("seedbed.cli.run", "Train an experiment under many seeds and keep every run."),
        "import": ("seedbed.cli.import_scores", "Keep the scores of a table as studies, one a group."),
        "audit": ("seedbed.cli.audit", "Tell whether one seed gives one result, and where it does not."),
        "engines": ("seedbed.cli.engines", "Tell which engines can run an experiment, and why not."),
        "studies": ("seedbed.cli.read", "List the studies of a store."),
        "show": ("seedbed.cli.read", "Show a study: its runs in numbers."),
        "compare": ("seedbed.cli.compare", "Compare studies: which is better, by how much, and how sure that is."),
        "decompose": ("seedbed.cli.decompose", "Take the spread apart: initial weights, order, noise, test set."),
        "plan": ("seedbed.cli.plan", "Tell how many seeds a difference or a width takes."),
        "best": ("seedbed.cli.best", "Tell what the best of k seeds gains by luck alone."),
        "report": ("seedbed.cli.report", "Write what is known of studies as one page, with charts."),
        "plot": ("seedbed.cli.plot", "Write one chart as PDF, SVG or PNG, for a paper."),
        "watch": ("seedbed.cli.watch", "Show a report that follows its studies as a page, while they run."),
        "logs": ("seedbed.cli.logs", "Print what one run of a trial or program printed."),
        "export": ("seedbed.cli.export", "Write a study's runs as CSV or JSON lines, or its weights."),
        "merge": ("seedbed.cli.merge", "Join stores, such as shards, into one."),
        "delete": ("seedbed.cli.read", "Delete a study with all its runs."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        import importlib

        if cmd_name not in self.commands_at:
            return None
        attribute = cmd_name + "_" * keyword.iskeyword(cmd_name)
        command = getattr(importlib.import_module(self.commands_at[cmd_name][0]), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands_at:
            import difflib

            near = difflib.get_close_matches(args[0], self.commands_at, 1)
            raise click.UsageError(f"no command {args[0]!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in self.commands_at.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="seedbed %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(debug: bool) -> None:
    """How much of a result is luck of the random seed?

    \b
    seedbed run people -s 0:100       a ready experiment, seeds 0 to 99
    seedbed run train.py:mine -n 50   your own function that makes an Experiment
    seedbed run people --init 0:8 --order 0:8
    seedbed run -n 20 -- python train.py --seed {seed}
    seedbed show people
    """


def main() -> None:
    """Run the command and end the process with its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # what a run printed may hold what a terminal cannot show
    arguments = sys.argv[1:]
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments  # the rest is another program's
    debug = "--debug" in own
    arguments = [a for a in own if a != "--debug"] + arguments[len(own) :]  # allowed anywhere on the line
    try:
        status = command.main(arguments, prog_name="seedbed", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        if debug:
            traceback.print_exc()
        if arguments and arguments[0] == "run":
            click.echo(f"\nstopped; every finished run is kept. Go on with:\n  {resume_command(arguments)}", err=True)
        status = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe, such as head, has seen enough
        status = DONE
    except Exception as error:
        from seedbed.errors import SeedbedError, WorkerError

        if debug or not isinstance(error, SeedbedError):
            traceback.print_exc()
        if isinstance(error, SeedbedError):
            click.echo(f"seedbed: {error}", err=True)
        else:
            click.echo("seedbed: this should not have happened; please report it with the lines above", err=True)
        foreseen = isinstance(error, SeedbedError) and not isinstance(error, WorkerError)
        status = BAD_INPUT if foreseen else CANNOT_TELL
    sys.exit(status if isinstance(status, int) else DONE)


def _shown(argument: str) -> str:
    from seedbed.locations import is_url, shown

    before, equals, value = argument.partition("=")  # --store=URL, and --track mlflow=URL
    return f"{before}={_shown(value)}" if equals and not is_url(before) else shown(argument)


def resume_command(arguments: list[str]) -> str:
    """The command line that was typed, quoted for a shell; without a password, since it may end in a log."""
    return shlex.join(["seedbed", *map(_shown, arguments)])

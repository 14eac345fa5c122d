"""`limbeck` and `python -m limbeck`: runs the command line; a mistake is one sentence and exit code 2."""

import sys


def main() -> None:
    """Run the command line and exit: 0 done, 2 something given cannot be used, 130 stopped by the user."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    import typer

    from limbeck import processes
    from limbeck.cli.app import app
    from limbeck.errors import UserError, sentence, visible
    from limbeck.processes import keep_freed

    keep_freed()
    wrong: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    try:
        if arguments and arguments[0] != "distill":
            processes.alone(f"limbeck {arguments[0]}", "start it once, without torchrun or accelerate launch")
        code = app(arguments, standalone_mode=False, prog_name="limbeck")
        if code == 130:  # typer turns control-C into this
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except UserError as error:
        print(f"limbeck: {sentence(str(error))}", file=sys.stderr)
    except typer.Exit as stop:
        return stop.exit_code
    except wrong as error:
        said = error.format_message()  # type: ignore[attr-defined]
        print(f"limbeck: {sentence(said) if arguments else said}", file=sys.stderr)
    except (KeyboardInterrupt, typer.Abort):
        print("limbeck: stopped; the same command with --out FOLDER continues (for a single run, add --resume)", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        where = f"{visible(str(error.filename))}: " if error.filename else ""
        why = (error.strerror or str(error)).lower()
        print(f"limbeck: {sentence(f'{where}{why}; check that the path exists and is accessible')}", file=sys.stderr)
    except Exception as error:
        print(f"limbeck: {sentence(unexpected(error))}", file=sys.stderr)
    return 2


def unexpected(error: Exception) -> str:
    """A sentence for a fault of limbeck's own, whose traceback goes into a file to be reported with."""
    import tempfile
    import traceback

    from limbeck.errors import reason

    with tempfile.NamedTemporaryFile("w", prefix="traceback-of-limbeck-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    fault = f"unexpected error ({reason(error)}), a fault of limbeck's own"
    return f"{fault}; please report it with the traceback in {file.name}"


if __name__ == "__main__":
    main()

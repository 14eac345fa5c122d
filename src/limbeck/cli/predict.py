"""`limbeck predict`: a student's answers to files of the user's own."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import Trust, command_of
from limbeck.deploy.raw import write
from limbeck.face.predict import predict as answers


def predict(
    run: Annotated[Path, typer.Argument(help="run folder, or any folder with student.json")],
    inputs: Annotated[list[str], typer.Argument(help='pictures, folders, tables, texts, .npy files, or "text:a sentence"')],
    out: Annotated[str, typer.Option(help="file to write, .csv or .json; default: CSV to the terminal")] = "",
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    trust: Trust = False,
) -> None:
    """Answer pictures, tables, texts or arrays with a run's student: classes with probabilities, values, masks or boxes."""
    write(answers(run, inputs, trust=trust), out, json_)


app = command_of(predict)

"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Port = Annotated[
    int | None, typer.Option(help="Port of the gateway; other parts take those after it. [8000]")
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded storage. [.slackwater]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

"""`bide config`: the settings in force, and where each was set."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Database, Json
from bide.runtime.cli.output import print_json, print_table
from bide.runtime.service.places import database, settings

app = App(name="config", help="The settings: what is in force here, and where each was set.")


@app.command
def show(
    *,
    origin: Annotated[
        bool, Parameter(negative="", help="Also where each was set: a file, a variable, a flag.")
    ] = False,
    db: Database = None,
    json: Json = False,
) -> int:
    """Show every setting that is in force here, secrets masked. A running service has its own: `bide doctor`."""
    from bide.runtime.service.config_shown import settings_shown, value_words

    config = settings(db=db)
    found = settings_shown(config, database(config))
    if json:
        print_json(found)
        return 0
    heads = ("setting", "value", "origin") if origin else ("setting", "value")
    rows = [(each.key, value_words(each.value), each.origin)[: len(heads)] for each in found]
    print_table(heads, rows, "there are no settings")
    return 0

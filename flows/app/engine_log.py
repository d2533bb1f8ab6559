"""What Prefect's log shows: a person's mistake as one sentence, and little on our console."""

from __future__ import annotations

import logging
from typing import Any

from flows.app.ending import sentence

RUN_LOGS = ("prefect.flow_runs", "prefect.task_runs")


class OneSentence(logging.Filter):
    """Puts the sentence of an error that a person can mend in the place of its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record where it tells of such an error; always let it pass."""
        error = record.exc_info[1] if record.exc_info else None
        told = sentence(error) if error is not None else None
        if told is not None:
            record.msg, record.args, record.exc_info = "%s", (told,), None
        return True


class NoEndings(logging.Filter):
    """Drops how flow and task runs ended: the command itself says that, once."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is shown."""
        return not (record.name.startswith(RUN_LOGS) and record.levelno >= logging.ERROR)


def tell_mistakes_shortly() -> None:
    """Log errors that a person can mend without a traceback, here and on the server."""
    for name in RUN_LOGS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, OneSentence) for one in logger.filters):
            logger.addFilter(OneSentence())


def quieten(*, debug: bool = False) -> bool:
    """Show Prefect's warnings only, unless the user has set a level; with `debug` show all.

    The server still gets every line. Returns whether Prefect has no server to talk to yet.
    """
    import prefect.main  # noqa: F401, PLC0415 - sets the handlers up
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings: Any = get_current_settings()
    if debug:
        _forget_short_mistakes()
    elif "level" not in settings.logging.model_fields_set:
        _raise_console()
    return settings.api.url is None


def _forget_short_mistakes() -> None:
    for name in RUN_LOGS:
        logger = logging.getLogger(name)
        for held in [one for one in logger.filters if isinstance(one, OneSentence)]:
            logger.removeFilter(held)


def _raise_console() -> None:
    for handler in logging.getLogger().handlers:
        if type(handler).__name__ == "PrefectConsoleHandler":
            handler.setLevel(max(handler.level, logging.WARNING))
            if not any(isinstance(one, NoEndings) for one in handler.filters):
                handler.addFilter(NoEndings())

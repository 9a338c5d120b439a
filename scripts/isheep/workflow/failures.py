"""What a run that fails says: on the screen each failed job's one useful sentence, once and last, with its log.

Snakemake shows a failed job's command, files and whole log, and then goes on talking. All that is in its own log,
which is left as it is.
"""

import atexit
import logging
import re
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from isheep import INTERRUPTED
from isheep.terminal import printable

SENTENCE = "Error: "
"""How a line begins that a program ends with (isheep.cli)."""
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit)\b")
"""How a traceback's last line begins."""
STOPPED = "Terminating processes on user request"
"""How Snakemake says that it was told to end."""
COMMAND_FAILED = "RuleException:\nCalledProcessError"
"""How Snakemake's message on a job's command begins; it ends with how the command did."""
ENDED = re.compile(
    r"(?:died with <Signals\.\w+: (?P<signal>\d+)>|returned non-zero exit status (?P<status>\d+))\.?\s*$"
)
SHELL_SIGNALS = 128
"""A shell's exit status where its program was ended by a signal: this and the signal's number."""
BY_SIGNAL = {
    signal.SIGKILL: "the program was killed (SIGKILL), by the system if its memory was short, else by a person or "
    "another program; if memory was short, lower runtime.batch_size or run fewer jobs at once",
    signal.SIGTERM: "the program was told to end (SIGTERM), by a person or another program, such as a shutdown; the "
    "same command goes on from there",
}
"""What is said of a program that was ended by a signal; of others their name."""
NOISE = (COMMAND_FAILED, "WorkflowError:\nAt least one job did not", "Exiting because a job")
"""How messages begin that say no more than that a job has failed, with its command."""


class Failures(logging.Handler):
    """Collects the jobs of a run that fail, and says at its end why."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: dict[int, tuple[str, list[str], int | None]] = {}
        """Job → its rule, its logs and exit status; not of a job that was tried again and succeeded."""
        self.messages: list[str] = []
        """On commands that have failed; each comes before the one on its job."""
        self.interrupted = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a message of Snakemake; say at once that a job has failed, for others may go on for long."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_ERROR:
            self.failed[record.jobid] = record.rule_name, record.log, self._status(record.shellcmd)
            if record.log and not self.interrupted:
                print(f"Failed: job {record.jobid}, rule {record.rule_name}", file=sys.stderr)
        elif event == LogEvent.JOB_FINISHED:
            self.failed.pop(record.job_id, None)
        elif record.getMessage().startswith(COMMAND_FAILED):
            self.messages.append(record.getMessage())
        elif record.getMessage().startswith(STOPPED):
            self.interrupted = True

    def _status(self, command: str | None) -> int | None:
        """The exit status of a job's command, of one that was ended by a signal as a shell gives it; None where it is
        not known."""
        for message in reversed(self.messages):
            ended = ENDED.search(message)
            if command and command in message and ended:
                return SHELL_SIGNALS + int(ended["signal"]) if ended["signal"] else int(ended["status"])
        return None

    def is_news(self, record: logging.LogRecord) -> bool:
        """Whether a message belongs on the screen: a filter of its handler."""
        if getattr(record, "event", None) != LogEvent.JOB_ERROR:
            return not record.getMessage().startswith(NOISE)
        return not record.log

    def leave_out(self, logs: Iterable[str]) -> None:
        """Say nothing of the jobs with these logs, whose end is explained already."""
        explained = {Path(log).absolute() for log in logs}
        self.failed = {
            job: (rule, own, status)
            for job, (rule, own, status) in self.failed.items()
            if explained.isdisjoint(Path(log).absolute() for log in own)
        }

    def say(self) -> None:
        """Print what is to be known at the end: one line for each reason, with the first log that has it."""
        if self.interrupted:
            print(INTERRUPTED, file=sys.stderr)
            return
        said: dict[str, list[str]] = {}
        for rule, logs, status in self.failed.values():
            sentence, log = reason(rule, logs, status)
            said.setdefault(sentence, []).append(log)
        for sentence, logs in said.items():
            others = f" (and of {len(logs) - 1} more that ended so: {', '.join(logs[1:])})" if len(logs) > 1 else ""
            print(printable(f"{sentence} Log: {logs[0]}{others}"), file=sys.stderr)


def reason(rule: str, logs: list[str], status: int | None = None) -> tuple[str, str]:
    """Return why a job failed, by its logs and its exit status, and the log that says so.

    That is the last line that a program of ours ended with, since it may have been started by one that says more; or
    the signal that ended it; or the last line of a traceback. Where there is none of them, the end of its log says it.
    """
    lines = [(line.strip(), log) for log in logs for line in _lines(log) if line.strip()]
    ended = _ended(status)
    kinds = [lambda line: line.startswith(SENTENCE), *([] if ended else [EXCEPTION.match])]
    for is_reason in kinds:
        for line, log in reversed(lines):
            if is_reason(line):
                return (line if line.startswith(SENTENCE) else f"{SENTENCE}rule {rule}: {line}"), log
    ends = f"its log ends with: {lines[-1][0]!r}." if lines else "its log is empty."
    said = f"{SENTENCE}rule {rule}: {ended or 'the program ended without a reason'}; {ends}"
    return said, lines[-1][1] if lines else next(iter(logs), "none")


def _ended(status: int | None) -> str:
    """What ended a program of this exit status, if a signal did."""
    try:
        ended_by = signal.Signals((status or 0) - SHELL_SIGNALS)
    except ValueError:
        return ""
    return BY_SIGNAL.get(ended_by, f"the program was ended by {ended_by.name}")


def say_failures_last() -> Failures:
    """Let this run keep Snakemake's report of a failed job for its log, and end with the reason. To be called before
    anything else is registered for the exit."""
    failures = Failures()
    logger = logging.getLogger("snakemake.logging")
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(failures.is_news)
    logger.addHandler(failures)
    atexit.register(failures.say)
    return failures


def _lines(log: str) -> list[str]:
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []

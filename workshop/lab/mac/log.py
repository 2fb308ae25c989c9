#!/usr/bin/python3
"""The lab's `log show`: the unified log, as far as programs wrote to syslog(3)."""

import argparse
import datetime
import json
import re
import socket
import sys
import time
from typing import Any, Callable

UNIFIED_LOG = "/var/db/diagnostics/messages"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\'[^\']*\'|&&|\|\||==|!=|[()!{},]|[\w.]+(?:\[[cd]+\])?)')

Record = dict[str, Any]
Test = Callable[[Record], bool]


class Predicate:
    """The part of NSPredicate that people use with the log: FIELD OPERATOR "TEXT", with and, or, not."""

    def __init__(self, text: str) -> None:
        self.tokens = TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s+(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)", "", text):
            raise ValueError(text)

    def parse(self) -> Test:
        """The whole predicate."""
        test = self._either()
        if self.tokens:
            raise ValueError(self.tokens[0])
        return test

    def _next(self, *wanted: str) -> str:
        """The next token, taken, if it is one of these; of any kind without these."""
        if self.tokens and (not wanted or self.tokens[0].upper() in wanted):
            return str(self.tokens.pop(0))
        if not wanted:
            raise ValueError("ends too early")
        return ""

    def _either(self) -> Test:
        tests = [self._both()]
        while self._next("OR", "||"):
            tests.append(self._both())
        return lambda record: any(test(record) for test in tests)

    def _both(self) -> Test:
        tests = [self._single()]
        while self._next("AND", "&&"):
            tests.append(self._single())
        return lambda record: all(test(record) for test in tests)

    def _single(self) -> Test:
        if self._next("NOT", "!"):
            test = self._single()
            return lambda record: not test(record)
        if self._next("("):
            test = self._either()
            if not self._next(")"):
                raise ValueError("a parenthesis is missing")
            return test
        field, operator = self._next(), self._next().upper()
        if field not in ("process", "eventMessage", "composedMessage", "processID", "messageType", "subsystem"):
            raise ValueError(field)
        if operator == "IN":
            self._next("{")
            values = [self._value()]
            while self._next(","):
                values.append(self._value())
            self._next("}")
            return lambda record: str(record[field]) in values
        value = self._value()
        compare: dict[str, Callable[[str, str], bool]] = {
            "==": lambda a, b: a == b,
            "!=": lambda a, b: a != b,
            "CONTAINS": lambda a, b: b in a,
            "BEGINSWITH": lambda a, b: a.startswith(b),
            "ENDSWITH": lambda a, b: a.endswith(b),
            "MATCHES": lambda a, b: bool(re.fullmatch(b, a)),
        }
        name, _, flags = operator.partition("[")
        if name not in compare:
            raise ValueError(operator)
        fold: Callable[[str], str] = str.lower if "C" in flags else str
        return lambda record: compare[name](fold(str(record[field])), fold(value))

    def _value(self) -> str:
        token = self._next()
        return re.sub(r"\\(.)", r"\1", token[1:-1]) if token[0] in "\"'" else token


def since(options: argparse.Namespace) -> float:
    """From when on, as a time since the epoch."""
    if options.last:
        found = re.fullmatch(r"(\d+)([smhd]?)", options.last)
        if not found:
            raise ValueError(f"--last {options.last}")
        return time.time() - int(found[1]) * UNITS[found[2] or "s"]
    if options.start:
        if options.start.startswith("@"):
            return float(options.start[1:])
        form = "%Y-%m-%d %H:%M:%S" if ":" in options.start else "%Y-%m-%d"
        return datetime.datetime.strptime(options.start, form).timestamp()
    return 0


def main() -> int:
    """Show the chosen lines."""
    parser = argparse.ArgumentParser(prog="log")
    parser.add_argument("command", choices=["show"])
    parser.add_argument("--last")
    parser.add_argument("--start")
    parser.add_argument("--info", action="store_true")
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--predicate", default='process != ""')
    parser.add_argument("--style", choices=["default", "syslog", "compact"], default="default")
    options = parser.parse_args()
    try:
        test, start = Predicate(options.predicate).parse(), since(options)
    except ValueError as error:
        print(f"log: Bad predicate or time: {error}", file=sys.stderr)
        return 64
    hidden = set() if options.debug else {"Debug"} if options.info else {"Debug", "Info"}
    heads = {
        "default": "Timestamp                       Thread     Type        Activity             PID    TTL  ",
        "syslog": "Timestamp                       (process)[PID]    ",
        "compact": "Timestamp               Ty Process[PID:TID]",
    }
    print(heads[options.style])
    with open(UNIFIED_LOG, encoding="utf-8") as file:
        for line in file:
            when, kind, pid, process, message = json.loads(line)
            record = {
                "process": process, "eventMessage": message, "composedMessage": message, "processID": pid,
                "messageType": kind.lower(), "subsystem": "",
            }  # fmt: skip
            if when < start or kind in hidden or not test(record):
                continue
            stamp = datetime.datetime.fromtimestamp(when).astimezone()
            text = f"{stamp:%Y-%m-%d %H:%M:%S.%f%z}"
            if options.style == "default":
                print(f"{text} 0x{pid:<8x} {kind:<11} {'0x0':<20} {pid:<6} 0    {process}: {message}")
            elif options.style == "syslog":
                print(f"{text}  {socket.gethostname()} {process}[{pid}]: {message}")
            else:
                print(f"{text[:23]} {kind[:2]:<2} {process}[{pid}:{pid:x}] {message}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The lab's command line: python -m workshop.lab {setup,up,down,reboot,status}."""

import argparse
import sys

from . import LabError, labs, system


def _host(text: str) -> tuple[str, str, str]:
    host, equals, kind = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST=KIND, as in nas=trixie")
    kind, _colon, hostname = kind.partition(":")
    return host, kind, hostname


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workshop.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install what the lab needs on this machine")
    up = commands.add_parser("up", help="start a lab, or add hosts to it")
    up.add_argument("hosts", nargs="+", type=_host, metavar="HOST=KIND[:HOSTNAME]")
    up.add_argument("--provider", choices=labs.PROVIDERS, default="provider", help="default: %(default)s")
    down = commands.add_parser("down", help="remove hosts of a lab, or all of it")
    down.add_argument("hosts", nargs="*", metavar="HOST")
    reboot = commands.add_parser("reboot", help="boot a host of a lab anew")
    reboot.add_argument("host", metavar="HOST")
    status = commands.add_parser("status", help="show the containers of a lab")
    for command in (up, down, reboot, status):
        command.add_argument("--name", required=True, help="name of the lab")
    options = parser.parse_args()
    try:
        if options.command == "setup":
            system.setup()
        elif options.command == "up":
            hostnames = {host: hostname for host, _kind, hostname in options.hosts if hostname}
            labs.up(options.name, {host: kind for host, kind, _ in options.hosts}, options.provider, hostnames)
        elif options.command == "down":
            labs.down(options.name, options.hosts)
        elif options.command == "reboot":
            labs.reboot(options.name, options.host)
        else:
            labs.status(options.name)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Have Debian's Prometheus raise each alert of docs/prometheus.md from what node_exporter reads of the watch's file.

python -m workshop.checks.prometheus KIND: in a container of that kind, with Debian's packages.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from workshop.lab import images
from workshop.lab.host import podman

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs/prometheus.md"

# Runs in the container; the rules come by standard input.
_IN_CONTAINER = r"""
import json, os, re, subprocess, sys, time, urllib.request
from ansible_collections.homelab.mail.plugins.module_utils._program import watch

FOLDER, RULES, FILE = "/var/lib/prometheus/node-exporter", "/tmp/rules.yml", "smarthost.prom"
CONFIG = '''
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [/tmp/rules.yml]
scrape_configs: [{job_name: node, static_configs: [{targets: ["127.0.0.1:9100"]}]}]
'''
WELL = {"host": "nas.lan", "running": True, "queue": {"messages": 0, "oldest_seconds": 0, "reasons": []},
        "last_delivery": {"time": time.time()}}
REFUSED = {**WELL, "queue": {"messages": 1, "oldest_seconds": 60, "reasons": [{"kind": "login"}]}}

def fetch(address):
    with urllib.request.urlopen(f"http://127.0.0.1:{address}", timeout=5) as answer:
        return answer.read().decode()

def until(wanted, what, seconds=40):
    end = time.monotonic() + seconds
    while True:
        try:
            found = what()
        except OSError as error:
            found = error
        if found == wanted:
            return
        if time.monotonic() > end:
            sys.exit(f"{wanted} was expected, but there was {found}")
        time.sleep(0.3)

def firing():
    return sorted({alert["labels"]["alertname"] for alert in json.loads(fetch("9090/api/v1/alerts"))["data"]["alerts"]
                   if alert["state"] == "firing"})

def wrote(state, healthy):
    watch.files.replace(f"{FOLDER}/{FILE}", watch.metrics(state, healthy))

open(RULES, "w").write(sys.stdin.read())
open("/tmp/prometheus.yml", "w").write(CONFIG)
wrote(WELL, True)
subprocess.run(["promtool", "check", "rules", RULES], check=True)
subprocess.run(["promtool", "check", "metrics"], stdin=open(f"{FOLDER}/{FILE}"), check=True)
as_user = ["runuser", "-u", "prometheus", "--"]
subprocess.Popen([*as_user, "prometheus-node-exporter", f"--collector.textfile.directory={FOLDER}",
                  "--web.listen-address=127.0.0.1:9100"], stderr=subprocess.DEVNULL)
subprocess.Popen([*as_user, "prometheus", "--config.file=/tmp/prometheus.yml", "--storage.tsdb.path=/tmp/tsdb",
                  "--web.listen-address=127.0.0.1:9090"], stderr=subprocess.DEVNULL)
until(["smarthost_healthy 1", "smarthost_login_ok 1", "smarthost_queue_messages 0"], lambda: [
    line for line in fetch("9100/metrics").splitlines() if re.match("smarthost_(healthy|login|queue)", line)])
assert "node_textfile_scrape_error 0" in fetch("9100/metrics")
# Prometheus has the figures, and no alert comes of them.
until(["1"], lambda: [
    found["value"][1] for found in json.loads(fetch("9090/api/v1/query?query=smarthost_healthy"))["data"]["result"]])
until([], firing)
wrote(REFUSED, False)
until(["MailDoesNotLeave", "MailLoginRefused"], firing)
wrote(WELL, True)
until([], firing)
os.utime(f"{FOLDER}/{FILE}", (time.time() - 1900,) * 2)
until(["MailNotWatched"], firing)
print("each alert was raised, and went again")
"""

_INSTALL = """
    set -e
    apt-get -qq -o Acquire::Retries=5 update >&2 </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
        prometheus prometheus-node-exporter >&2 </dev/null
    exec python3 -c "$1"
"""


def rules() -> str:
    """The rules of the page."""
    [found] = re.findall(r"^```yaml\n(groups:\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return str(found)


def main() -> int:
    """Install, and look."""
    kind = sys.argv[1]
    images.build_missing({kind})
    done = podman(
        *("run", "--rm", "--interactive", f"--volume={PROJECT}:/project:ro", "--env=PYTHONPATH=/project/.collections"),
        *("--env=PYTHONDONTWRITEBYTECODE=1", images.reference(kind), "sh", "-c", _INSTALL, "sh", _IN_CONTAINER),
        input=rules(),
        check=False,
    )
    print(done.stdout + (done.stderr[-3000:] if done.returncode else ""), flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

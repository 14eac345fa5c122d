"""The page while it grows: this machine only, one folder only, nothing written, refreshed."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from functools import partial

import pytest
from synthetic_board import change_card, make_board
from synthetic_run import make_run

from limbeck.errors import UserError
from limbeck.web.watch import server, state_of


@pytest.fixture
def serve():
    """Start a server over a folder; returns its port."""
    running = []

    def start(folder):
        found = server(folder, 0)
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((found, thread))
        return found.server_port

    yield start
    for found, thread in running:
        found.shutdown()
        thread.join()
        found.server_close()


def get(port, path="/", host=None, method="GET"):
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asking.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = asking.getresponse()
    text = answer.read().decode()
    asking.close()
    return answer.status, text


@pytest.mark.parametrize("kind", [make_run, make_board])
def test_it_serves_the_page_and_writes_nothing(tmp_path, serve, kind):
    folder = kind(tmp_path / "watched")
    before = sorted(p.relative_to(folder) for p in folder.rglob("*"))
    status, text = get(serve(folder))
    assert (
        status == 200
        and 'id="result"' in text
        and f'data-live="{state_of(folder)}"' in text
        and "connect-src &#39;self&#39;" in text
    )
    assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == before


def test_the_state_changes_when_the_folder_does_and_only_then(tmp_path, serve):
    folder = make_board(tmp_path / "board", missing=2)
    port = serve(folder)
    first = json.loads(get(port, "/state")[1])["state"]
    assert json.loads(get(port, "/state")[1])["state"] == first
    (folder / "notes.txt").write_text("of the user")
    assert json.loads(get(port, "/state")[1])["state"] == first
    change_card(make_run(folder / "runs" / "kd_temperature=2-seed2", n=30, pictures=False), 0.9, "kd")
    assert json.loads(get(port, "/state")[1])["state"] != first
    assert "In progress: 11 of 12" in get(port)[1]


def test_only_the_page_only_for_this_machine(tmp_path, serve):
    folder = make_run(tmp_path / "run")
    (tmp_path / "secret").write_text("secret")
    port = serve(folder)
    for path in ("/card.json", "/../secret", "/%2e%2e/secret", "//secret", "/state/", "/?x"):
        assert get(port, path) == (404, "the only page is at /")
    assert get(port, host="evil.example")[0] == 403 and get(port, "/state", host=f"evil.example:{port}")[0] == 403
    assert get(port, host=f"localhost:{port}")[0] == 200
    assert get(port, method="POST")[0] == 501


def test_a_folder_that_goes_away_is_said(tmp_path, serve):
    folder = make_run(tmp_path / "run")
    port = serve(folder)
    folder.rename(tmp_path / "elsewhere")
    status, text = get(port)
    assert status == 503 and text.startswith("there is no run folder at")


def test_bad_folder_and_port_are_one_sentence(tmp_path, serve):
    with pytest.raises(UserError, match="no run folder at"):
        server(tmp_path / "nowhere", 0)
    folder = make_run(tmp_path / "run")
    with pytest.raises(UserError, match="--port must be between 0 and 65535, got 70000"):
        server(folder, 70000)
    with pytest.raises(UserError, match=r"port \d+ cannot be used: it is in use already; give another one with --port"):
        server(folder, serve(folder))


def test_control_c_ends_it(tmp_path):
    folder = make_run(tmp_path / "run")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "limbeck", "watch", str(folder), "--port", "0"]
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # where the tests run in the background, children ignore it
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds) as process:
        try:
            line = process.stdout.readline()
            address = line.split()[0]
            assert address.startswith("http://127.0.0.1:") and str(folder) in line
            assert urllib.request.urlopen(address, timeout=10).status == 200
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "stopped\n", "")

"""The way from a run to its trace in Jaeger: ``trace open``, and what ``run`` tells."""

from __future__ import annotations

import io
import json
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

import pytest

from runtime.cli import run_link
from runtime.cli.run_link import RunLink, link_of
from runtime.cli.trace_open import _has_screen
from runtime.cli.trace_ui import Found, find_jaeger, ui_address
from runtime.errors import ConfigurationError
from runtime.identity import trace_id_of
from tests.cli_workspace import Cli, make_workspace, run_process
from tests.otel_receivers import running_collector
from tests.trace_ui import trace_ui

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "http://127.0.0.1:1"
TRACE = f"{trace_id_of('says-1'):032x}"
WAITS = '''

@mag
async def waits(ctx: Context, path: str) -> str:
    """Go on when the file is there."""
    while not await anyio.Path(path).exists():
        await anyio.sleep(0.01)
    await anyio.sleep(0.5)
    return "done"
'''


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    make_workspace(tmp_path)
    run_process(tmp_path, "run", "says", "--run-id", "says-1", "--input", '{"text": "t"}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAGSAG_DB", str(tmp_path / "journal.db"))
    for name in ("MAGSAG_TRACE_UI", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return Cli(tmp_path, capsys)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    links: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda link: not links.append(link))
    return links


@pytest.mark.real_time
def test_a_trace_that_jaeger_has_is_opened_where_a_browser_can_show_itself(
    cli: Cli, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with trace_ui(TRACE) as ui:
        link = f"{ui.url}/trace/{TRACE}"
        monkeypatch.setenv("DISPLAY", ":0")
        assert cli("trace", "open", "last", "--ui", f"{ui.url}/") == (0, f"{link}\n", "")
        assert opened == [link]
        assert ui.paths == [f"/api/v3/traces/{TRACE}"]
        monkeypatch.delenv("DISPLAY")
        monkeypatch.setenv("MAGSAG_TRACE_UI", ui.url)
        code, out, err = cli("trace", "open", "says")
        assert (code, out) == (0, f"{link}\n")
        assert "no browser here" in err
    assert opened == [link]


@pytest.mark.real_time
def test_what_to_do_is_said_where_jaeger_is_silent_or_has_no_such_trace(
    cli: Cli, opened: list[str]
) -> None:
    code, out, err = cli("trace", "open", "says-1", "--ui", NOBODY)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: no Jaeger answers at {NOBODY}; make jaeger")
    with trace_ui() as ui:
        code, out, err = cli("trace", "open", "says-1", "--ui", ui.url)
        assert (code, out) == (1, "")
        assert f"has no trace {TRACE}" in err
        assert "python -m runtime trace show says-1" in err
        ui.page = b"<!doctype html>"
        assert "no Jaeger answers" in cli("trace", "open", "says-1", "--ui", ui.url)[2]
    assert opened == []


def test_only_printing_asks_nobody(cli: Cli, opened: list[str]) -> None:
    code, out, err = cli("trace", "open", "says-1", "--ui", NOBODY, "--print")
    assert (code, out, err) == (0, f"{NOBODY}/trace/{TRACE}\n", "")
    assert cli("trace", "open", "nobody", "--print")[0] == 1
    assert opened == []


@pytest.mark.parametrize("given", ["jaeger", "http://", "http://h:x", "ftp://h", "http://h/?a=1"])
def test_what_is_no_address_is_refused(cli: Cli, given: str) -> None:
    code, out, err = cli("trace", "open", "says-1", "--ui", given)
    assert (code, out) == (1, "")
    assert "is no address of a UI; write it like http://localhost:16686" in err


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://localhost:16686"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://box:4318"}, "http://box:16686"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318"}, "http://[::1]:16686"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "box:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "http://box:16686",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://box:4318", "OTEL_SDK_DISABLED": "true"},
            "http://localhost:16686",
        ),
    ],
)
def test_the_ui_is_beside_the_collector(environ: dict[str, str], address: str) -> None:
    assert ui_address(None, environ) == address
    assert ui_address("https://jaeger.example.com/base/", environ) == (
        "https://jaeger.example.com/base"
    )


def test_a_browser_is_there_where_there_is_a_screen_or_somebody_names_one() -> None:
    assert not _has_screen({}, "linux")
    assert not _has_screen({"DISPLAY": ""}, "linux")
    assert _has_screen({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert _has_screen({"BROWSER": "firefox"}, "linux")
    assert _has_screen({}, "darwin")


@pytest.mark.real_time
def test_who_accepts_and_says_nothing_is_no_jaeger() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert find_jaeger(address, 0.05) is Found.SILENT


@pytest.mark.real_time
def test_a_link_is_told_when_jaeger_answers_and_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    with trace_ui() as ui:
        link = RunLink(ui.url, "says-1", stream)
        looked()
        assert stream.getvalue() == f"trace {ui.url}/trace/{TRACE}\n"
        link.over()
    assert capsys.readouterr().err == stream.getvalue()
    for nobody in (NOBODY, "http://127.0.0.1:1/x"):
        link = RunLink(nobody, "says-1", stream)
        looked()
        link.over()
    assert capsys.readouterr().err == ""


@pytest.mark.real_time
def test_an_answer_after_the_end_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on, stream = threading.Event(), io.StringIO()

    def late(*_: object) -> Found:
        go_on.wait(30)
        return Found.HERE

    monkeypatch.setattr(run_link, "find_jaeger", late)
    link = RunLink(NOBODY, "says-1", stream)
    link.over()
    go_on.set()
    looked()
    assert stream.getvalue() + capsys.readouterr().err == ""


def looked() -> None:
    """Wait until all who ask have their answer."""
    for thread in threading.enumerate():
        if thread.name == "trace link":
            thread.join()


def test_without_an_endpoint_or_with_a_wrong_one_there_is_no_link() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}
    for environ in (
        {},
        endpoint | {"OTEL_SDK_DISABLED": "true"},
        endpoint | {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "no address"},
        endpoint | {"MAGSAG_TRACE_UI": "no address"},
    ):
        assert link_of("says-1", None, environ) is None
    with pytest.raises(ConfigurationError):
        ui_address("no address", endpoint)


@pytest.mark.real_time
def test_a_run_tells_its_link_on_standard_error_unless_it_is_to_be_quiet(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    agents = tmp_path / "agents" / "some.py"
    agents.write_text(agents.read_text() + WAITS)
    (tmp_path / "catalog" / "agents" / "waits.yaml").write_text(
        "name: waits\nrole: mag\ndescription: d\nentrypoint: agents/some.py:waits\n"
    )
    payload = json.dumps({"path": str(tmp_path / "go")})
    with trace_ui() as ui, running_collector() as collector:
        ui.answered = tmp_path / "go"
        environ = collector.environ | {"MAGSAG_TRACE_UI": ui.url}
        argv = ("run", "waits", "--input", payload, "--run-id")
        loud = run_process(tmp_path, *argv, "says-1", **environ)
        told = f"trace {ui.url}/trace/{TRACE}\n"
        assert loud.stdout == "done\n"
        assert loud.stderr.count(told) == 2
        assert loud.stderr.endswith(told)
        for word in ("--quiet", "--json"):
            quiet = run_process(tmp_path, *argv, word, word, **environ)
            assert quiet.returncode == 0
            assert "/trace/" not in quiet.stdout + quiet.stderr


@pytest.mark.real_time
@pytest.mark.parametrize("argv", [("nothing-such",), ("tree", "--routing", "nothing-such")])
def test_a_run_that_never_began_has_no_link(tmp_path: Path, argv: tuple[str, ...]) -> None:
    make_workspace(tmp_path)
    with trace_ui() as ui, running_collector() as collector:
        environ = collector.environ | {"MAGSAG_TRACE_UI": ui.url}
        failed = run_process(tmp_path, "run", *argv, "--run-id", "says-1", **environ)
    assert failed.returncode == 1
    assert "nothing-such" in failed.stderr
    assert "/trace/" not in failed.stderr

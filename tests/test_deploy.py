"""What a cluster may be started from, checked against the schemas of those who read it."""

from __future__ import annotations

import copy
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509

from runtime.cli.main import commands
from tests.nats_server import program

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "runtime" / "engines" / "deploy"
COMPOSE, KUBERNETES = FOLDER / "compose.yaml", FOLDER / "kubernetes.yaml"
OLDEST, NEWEST = "1.27", "1.37"
PASSWORDS = ("password", "5e1f7c", "123456", "12k")  # the last three look like numbers


def compose_faults(file: Path) -> str:
    """Return what the specification of Compose has against a file; nothing where it is right."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    told = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    return "" if told.returncode == 0 else told.stdout + told.stderr


def manifests() -> list[dict[str, Any]]:
    return [*yaml.safe_load_all(KUBERNETES.read_text())]


def manifest(kind: str, name: str) -> dict[str, Any]:
    return next(
        each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )


def refused(document: dict[str, Any], version: str) -> bool:
    import kubernetes_validate as kubernetes  # noqa: PLC0415  # slow

    try:
        kubernetes.validate(document, version, strict=True)
    except kubernetes.ValidationError:
        return True
    return False


def test_the_compose_file_is_one() -> None:
    assert compose_faults(COMPOSE) == ""


def test_a_slip_in_the_compose_file_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("depends_on:", "depend_on:"))
    assert "depend_on" in compose_faults(wrong)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_manifests_are_what_kubernetes_takes(version: str) -> None:
    assert [each for each in manifests() if refused(each, version)] == []


def test_a_slip_in_a_manifest_would_be_seen() -> None:
    wrong = copy.deepcopy(manifest("Deployment", "node"))
    wrong["spec"]["template"]["spec"]["container"] = []
    assert refused(wrong, NEWEST)


def configurations() -> Iterator[str]:
    """Yield the configurations of NATS that are in both."""
    yield yaml.safe_load(COMPOSE.read_text())["configs"]["nats"]["content"].replace("$$", "$")
    yield manifest("ConfigMap", "nats")["data"]["nats.conf"]


def variables(password: str) -> Iterator[dict[str, str]]:
    """Yield the environments that both give NATS, when a password is what was chosen."""
    environment = yaml.safe_load(COMPOSE.read_text())["services"]["nats-1"]["environment"]
    chosen = re.compile(r"\$\{NATS_PASSWORD:[^}]*\}")
    yield {name: chosen.sub(password, value) for name, value in environment.items()}
    (container,) = manifest("StatefulSet", "nats")["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each.get("value", "nats-0") for each in container["env"]}
    yield {name: value.replace("$(LOGIN)", password) for name, value in given.items()}


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("number", [0, 1])
def test_the_configuration_of_nats_is_one_that_it_takes_with_any_password(
    number: int, password: str, tmp_path: Path
) -> None:
    text = [*configurations()][number]
    certificates = Path(__file__).parent / "certificates"
    for name, file in {
        "/run/secrets/nats.pem": "server.pem",
        "/run/secrets/nats.key": "server.pem",
        "/run/secrets/authority.pem": "authority.pem",
        "/tls/tls.crt": "server.pem",
        "/tls/tls.key": "server.pem",
        "/tls/ca.crt": "authority.pem",
    }.items():
        text = text.replace(name, str(certificates / file))
    configuration = tmp_path / "nats.conf"
    configuration.write_text(text.replace("store_dir: /data", f"store_dir: {tmp_path}"))
    told = subprocess.run(
        [program(), "-t", "-c", configuration],
        env={**os.environ, **[*variables(password)][number]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def node_arguments() -> Iterator[list[str]]:
    """Yield what nodes are started with."""
    yield yaml.safe_load(COMPOSE.read_text())["services"]["node"]["command"]
    (container,) = manifest("Deployment", "node")["spec"]["template"]["spec"]["containers"]
    yield container["args"]


@pytest.mark.parametrize("number", [0, 1])
def test_nodes_are_started_with_a_command_that_there_is(number: int) -> None:
    name, *arguments = [*node_arguments()][number]
    context = commands.make_context("runtime", [name])
    command = commands.get_command(context, name)
    assert command is not None
    command.make_context(name, arguments, parent=context)  # raises a UsageError


def test_every_variable_of_ours_is_one_that_is_documented() -> None:
    named = {
        name
        for file in (COMPOSE, KUBERNETES, FOLDER / "Dockerfile")
        for name in re.findall(r"MAGSAG_[A-Z_]+", file.read_text())
    }
    readme = (FOLDER.parents[2] / "README.md").read_text()
    assert {name for name in named if name not in readme} == set()


def test_whoever_stops_a_node_waits_longer_than_its_grace() -> None:
    pod = manifest("Deployment", "node")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    grace_s = int(container["args"][container["args"].index("--grace") + 1])
    assert pod["terminationGracePeriodSeconds"] > grace_s


def test_no_password_stands_in_them() -> None:
    for text in (COMPOSE.read_text(), KUBERNETES.read_text()):
        passwords = re.findall(r"(?:password: |PASSWORD=|://\w+:)([^\s@/]+)", text, re.IGNORECASE)
        assert all(each.startswith(("$", "'", "%s")) for each in passwords), passwords


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_certificates_for_a_first_try_are_of_the_servers_of_the_compose_file(
    tmp_path: Path,
) -> None:
    shutil.copy(FOLDER / "certificates.sh", tmp_path)
    subprocess.run(["/bin/sh", tmp_path / "certificates.sh"], check=True, capture_output=True)
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    wanted = {name for name in services if name != "node"}
    found: set[str] = set()
    for name in ("nats", "postgres"):
        certificate, key = (tmp_path / "tls" / f"{name}.{kind}" for kind in ("pem", "key"))
        trust = ssl.create_default_context(cafile=tmp_path / "tls" / "authority.pem")
        trust.load_cert_chain(certificate, key)
        extensions = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found |= {*names.get_values_for_type(x509.DNSName)}
    assert found == wanted

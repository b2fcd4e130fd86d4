"""The files that a deployment is made of: each is read by the program that it is for, where that is installed.

The gate (.ci/run) installs all of them and sets REQUIRE_TOOLS, so that nothing is left out there.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from sqlalchemy import make_url

import config
from insurance.operations import VERSION

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
MANIFESTS = sorted(path for path in (OPS / "kubernetes").glob("*.yaml") if path.stem != "kustomization")
SECRETS = list(yaml.safe_load_all((OPS / "kubernetes" / "secrets.example.yaml").read_text()))
WORKER_ALONE = {"MAIL_USERNAME", "MAIL_PASSWORD", "BACKUP_PASSPHRASE"}
COMPOSE_ALONE = {"DOMAIN", "POSTGRES_PASSWORD", "METRICS_TOKEN", "GRAFANA_PASSWORD", "IMAGE"}


def run(tool: str, *arguments: str | Path, folder: Path = ROOT, **environment: str) -> str:
    """What a tool says, which must be satisfied; without it the test is skipped, but never in the gate."""
    found = shutil.which(tool, path=f"{ROOT / '.venv/bin'}:{Path(os.sys.executable).parent}:{os.environ['PATH']}")  # type: ignore[attr-defined]
    if not found:
        if os.environ.get("REQUIRE_TOOLS"):
            pytest.fail(f"{tool} is required here")
        pytest.skip(f"{tool} is not installed")
    ended = subprocess.run(
        [found, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def assigned(path: Path) -> set[str]:
    return set(re.findall(r"^#? ?([A-Z_]+)=", path.read_text(), re.MULTILINE))


# Settings


def test_the_example_has_every_variable_that_is_read_and_no_other() -> None:
    assert assigned(ROOT / ".env.example") == set(config.NAMES)
    assert len(config.NAMES) == len(set(config.NAMES))


def test_every_variable_that_is_read_is_named() -> None:
    code = (ROOT / "config.py").read_text()
    read_there = set(re.findall(r"(?:env|parsed|_folder)\([\"']([A-Z_]+)", code))
    assert read_there == set(config.NAMES)


def test_the_readme_explains_every_variable() -> None:
    table = (ROOT / "README.md").read_text().partition("## Configuration")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z_]+)`", table)) >= set(config.NAMES)


@pytest.mark.parametrize(
    "names",
    [
        set(read(OPS / "kubernetes" / "settings.yaml")["data"]),
        {name for secret in SECRETS for name in secret["stringData"]},
        set(json.loads((ROOT / "app.json").read_text())["env"]),
        set(read(OPS / "compose.yaml")["services"]["web"]["environment"]),
        set(re.findall(r"^    ([A-Z_]+)=", (ROOT / "Containerfile").read_text(), re.MULTILINE))
        - {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "FLASK_SKIP_DOTENV"},
    ],
)
def test_what_is_set_is_what_is_read(names: set[str]) -> None:
    assert names
    assert names <= set(config.NAMES)


def test_the_version_is_one() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
    assert read(OPS / "kubernetes" / "kustomization.yaml")["images"][0]["newTag"] == VERSION


# Containers


def test_the_containerfile_is_clean() -> None:
    run("hadolint", ROOT / "Containerfile")


def test_the_image_runs_as_nobody_much_and_says_whether_it_lives() -> None:
    lines = (ROOT / "Containerfile").read_text()
    last = lines.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "--require-hashes" in lines
    assert not re.search(r"^ADD|(SECRET|PASSWORD|TOKEN)\w*=", lines, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".*", "instance"} <= set(ignored)  # neither .env nor data gets into it


def test_the_compose_file_is_one() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", OPS / "compose.yaml")


def test_compose_starts_everything_in_order_and_keeps_it_apart() -> None:
    compose = read(OPS / "compose.yaml")
    services = compose["services"]
    assert set(services) == {
        "authority", "proxy", "migrate", "web", "worker", "database", "cache", "scanner", "prometheus", "grafana",
    }  # fmt: skip
    for name in ("web", "worker", "migrate"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy", "grafana"}
    assert all(port.startswith("127.0.0.1:") for port in published["grafana"])
    assert compose["networks"]["inside"] == {"internal": True}
    assert services["database"]["networks"] == services["cache"]["networks"] == ["inside"]
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == set(compose["volumes"])
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (OPS / volume.partition(":")[0]).exists(), volume
    asked = set(re.findall(r"\$\{([A-Z_]+)", (OPS / "compose.yaml").read_text()))
    assert asked == COMPOSE_ALONE == assigned(OPS / "compose.env.example")


def test_every_part_inside_has_a_certificate_of_its_own_and_no_password(tmp_path: Path) -> None:
    compose = read(OPS / "compose.yaml")["services"]
    for name in ("web", "worker", "migrate", "database", "cache"):
        mounted = [volume for volume in compose[name]["volumes"] if volume.endswith(":/certificate:ro")]
        assert mounted == [f"certificate-{name}:/certificate:ro"]
    urls = {name: compose[name]["environment"]["DATABASE_URL"] for name in ("web", "worker", "migrate")}
    assert all(
        "sslmode=verify-full" in url and "sslcert=" in url and make_url(url).password is None for url in urls.values()
    )
    assert {name: make_url(url).username for name, url in urls.items()} == {
        "web": "insurance_app", "worker": "insurance_app", "migrate": "insurance",
    }  # fmt: skip
    assert compose["web"]["environment"]["REDIS_URL"].startswith("rediss://")
    assert "--port 0" in compose["cache"]["command"]
    assert compose["proxy"]["environment"]["UPSTREAMS"].startswith("https://")
    run("sh", OPS / "certificates.sh", tmp_path, "web")
    said = run(
        "openssl", "verify", "-CAfile", tmp_path / "authority.crt", "-verify_hostname", "web", tmp_path / "web.crt"
    )
    assert said.strip().endswith("OK")


def test_over_the_network_the_database_takes_certificates_alone() -> None:
    rules = [line.split() for line in (OPS / "database" / "pg_hba.conf").read_text().splitlines() if line[:1] != "#"]
    assert [rule[4] for rule in rules if rule[0] != "local"] == ["cert", "cert"]
    assert {rule[0] for rule in rules} == {"local", "hostssl"}


def test_what_the_worker_alone_needs_is_given_to_nobody_else() -> None:
    assert [set(secret["stringData"]) & WORKER_ALONE for secret in SECRETS] == [set(), WORKER_ALONE]
    names = {
        name: [source["secretRef"]["name"] for source in pod["containers"][0]["envFrom"] if "secretRef" in source]
        for name, pod in pods()
    }
    assert names["web"] == names["migrate"] == ["insurance"]
    assert names["worker"] == names["proof"] == ["insurance", "insurance-worker"]
    compose = read(OPS / "compose.yaml")["services"]
    assert compose["web"]["env_file"] == compose["migrate"]["env_file"] == "../.env"
    assert compose["worker"]["env_file"] == ["../.env", "../worker.env"]
    for name, others in (("web", False), ("worker", True)):
        unit = (OPS / "systemd" / f"insurance-{name}.service").read_text()
        assert ("EnvironmentFile=-/etc/insurance/worker" in unit) is others


def test_the_web_server_keeps_idle_connections_longer_than_the_proxy() -> None:
    [ours] = re.findall(r"^keepalive = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    [its] = re.findall(r"keepalive (\d+)s", (OPS / "Caddyfile").read_text())
    assert int(ours) > int(its)


def test_the_proxy_is_configured() -> None:
    said = run(
        "caddy", "validate", "--config", OPS / "Caddyfile", "--adapter", "caddyfile", DOMAIN="insurance.example.com"
    )
    assert "Valid configuration" in said
    assert run("caddy", "fmt", OPS / "Caddyfile").split("\n}")[0] in (OPS / "Caddyfile").read_text()


def test_the_procfile_and_the_units_run_commands_that_there_are(app: Flask) -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["release", "web", "worker"]
    places = [ROOT / "Procfile", ROOT / "Containerfile", OPS / "compose.yaml", OPS / "upgrade.sh", ROOT / "README.md"]
    places += [*(OPS / "systemd").iterdir(), *(OPS / "kubernetes").iterdir(), *(ROOT / "docs").glob("*.md")]
    called = {
        tuple(match.split())
        for place in places
        for match in re.findall(r"flask --app wsgi ([a-z]+(?: [a-z][a-z-]*)?)", place.read_text())
    }
    assert ("jobs", "worker") in called
    for name, *more in called:
        command = app.cli.commands[name]
        assert not more or not hasattr(command, "commands") or more[0] in command.commands, (name, *more)


# Units


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OPS / "systemd", tmp_path / "units"))
    for unit in folder.iterdir():
        unit.write_text(re.sub(r"/srv/insurance/\.venv/bin/\w+", "/bin/true", unit.read_text()))
    assert run("systemd-analyze", "verify", *sorted(folder.iterdir())) == ""
    for name in ("web", "worker", "proof"):
        unit = (OPS / "systemd" / f"insurance-{name}.service").read_text()
        for guard in ("NoNewPrivileges=yes", "ProtectSystem=strict", "User=insurance", "CapabilityBoundingSet=\n"):
            assert guard in unit, (name, guard)


# Kubernetes


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_knows_every_field(path: Path) -> None:
    run("kubernetes-validate", "--strict", path)


def pods() -> list[tuple[str, dict]]:
    found = []
    for path in MANIFESTS:
        for record in yaml.safe_load_all(path.read_text()):
            spec = record.get("spec", {})
            spec = spec.get("jobTemplate", {}).get("spec", spec)
            if "template" in spec:
                found.append((record["metadata"]["name"], spec["template"]["spec"]))
    return found


def test_every_pod_is_kept_within_bounds() -> None:
    assert {name for name, _ in pods()} == {"web", "worker", "migrate", "proof"}
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]) == {"requests", "limits"}
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_probes_ask_for_addresses_that_there_are(app: Flask) -> None:
    [web] = [pod["containers"][0] for name, pod in pods() if name == "web"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert app.test_client().get(web[probe]["httpGet"]["path"]).status_code == 200
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_everything_is_applied_but_secrets_and_the_job_that_comes_before() -> None:
    applied = set(read(OPS / "kubernetes" / "kustomization.yaml")["resources"])
    assert applied == {path.name for path in MANIFESTS} - {"secrets.example.yaml", "migrate.yaml"}


# Watching


def test_prometheus_takes_configuration_and_rules() -> None:
    run("promtool", "check", "config", "--syntax-only", OPS / "prometheus" / "prometheus.yml")
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", OPS / "prometheus" / "alerts.yml")
    run("promtool", "test", "rules", "alerts_test.yml", folder=OPS / "prometheus")


def expressions() -> list[str]:
    """What dashboard and alerts ask for."""
    board = json.loads((OPS / "grafana" / "dashboards" / "insurance.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    rules = [rule["expr"] for group in read(OPS / "prometheus" / "alerts.yml")["groups"] for rule in group["rules"]]
    assert len(asked) > 20
    return asked + rules


@pytest.mark.sqlite_only
def test_dashboard_and_alerts_ask_for_figures_that_there_are(app: Flask) -> None:
    told = {
        name
        for line in app.test_client().get("/metrics").text.splitlines()
        if line.startswith("# TYPE")
        for name in _series(*line.split()[2:4])
    }
    asked = {name for expression in expressions() for name in re.findall(r"insurance_\w+", expression)}
    assert asked <= told
    assert all("insurance_" in expression or "up{" in expression for expression in expressions())


def _series(name: str, kind: str) -> set[str]:
    return {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}


def test_the_dashboard_comes_up_by_itself() -> None:
    folder = OPS / "grafana" / "provisioning"
    [source] = read(folder / "datasources" / "prometheus.yml")["datasources"]
    [provider] = read(folder / "dashboards" / "insurance.yml")["providers"]
    compose = read(OPS / "compose.yaml")["services"]["grafana"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["volumes"]
    home = Path(compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    board = json.loads((OPS / "grafana" / "dashboards" / home.name).read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


# Workflows


def test_workflows_are_sound() -> None:
    run("actionlint")
    run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ROOT / ".github" / "dependabot.yml")


def test_workflows_may_do_no_more_than_they_must() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}, path.name
        for job in workflow["jobs"].values():
            assert "uses" in job or job["timeout-minutes"] <= 60
    pythons = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13"]


def test_yaml_is_tidy() -> None:
    run("yamllint", "--strict", "ops", ".github")


def test_the_script_is_read_by_bash() -> None:
    run("bash", "-n", OPS / "upgrade.sh")


def test_tools_are_found_by_the_gate() -> None:
    """What the gate requires is what tests ask for."""
    gate = (ROOT / ".ci" / "run").read_text()
    tests = Path(__file__).read_text()
    for tool in set(re.findall(r'run\("([a-z-]+)"', tests)) - {"bash", "sh", "openssl"}:
        package = {"promtool": "prometheus", "systemd-analyze": "systemd"}.get(tool, tool)
        assert package in gate, tool
    assert importlib.util.find_spec("yaml")

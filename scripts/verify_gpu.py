"""Is this machine's GPU ready to train? Checks the driver, torch and Paddle; the last line is the verdict."""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.config.gpus import Gpu, detected_profile, first_gpu
from shared.runs.cli import main, print_json
from shared.verify.checks import Result

DESCRIPTION = """
Results are compared with float64 on the processor: matrix product, convolution, CTC with its gradient, bf16, a
compiled step, an all-reduce. Driver and compute capability are compared with what the builds of torch and Paddle
support. Each failure names a way out. torch and Paddle run in processes of their own: if one crashes or hangs, the
rest is still told.

  python scripts/verify_gpu.py                      exit code 0: ready; 1: not, or no GPU
  python scripts/verify_gpu.py --device cpu         the same computations on the processor
  docker run --rm --gpus all trainyard/imagenet_resnet:dev python3 scripts/verify_gpu.py
"""
ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = {"torch": ("torch", "cuda"), "paddle": ("paddle", "gpu")}
LIMIT = 600  # seconds for all checks of one framework


def check(framework: str, device: str, fast: bool) -> list[Result]:
    """Results of one framework's checks, in a process of its own."""
    package, accelerator = FRAMEWORKS[framework]
    if importlib.util.find_spec(package) is None:
        return [Result(framework, None, "not installed here")]
    command = [
        sys.executable,
        "-m",
        f"shared.verify.{framework}_checks",
        accelerator if device == "gpu" else "cpu",
    ]
    settings = {"PYTHONPATH": str(ROOT), "NVIDIA_TF32_OVERRIDE": "0"}  # TF32 would hide wrong results
    process = subprocess.Popen(
        command + ["fast"] * fast, text=True, stdout=-1, stderr=-1, cwd=ROOT, env={**os.environ, **settings}
    )
    try:
        out, err = process.communicate(timeout=LIMIT)
        ended = f"ended with code {process.returncode}"
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        ended = f"hung for {LIMIT} s"
    results = [Result(**json.loads(line)) for line in out.splitlines() if line.startswith("{")]
    if process.returncode:
        last = " ".join(err.split())[-200:]
        mend = "the check after the last one told here broke it: update the driver, or try docker/README.md's images"
        results.append(Result(framework, False, f"{ended}: {last}", mend))
    return results


def driver_check(gpu: Gpu | None) -> Result:
    if gpu is None:
        mend = "install NVIDIA's driver; in a container: docker run --gpus all; in WSL: Windows's driver"
        return Result("GPU", False, "nvidia-smi finds none", mend)
    return Result(
        "GPU",
        True,
        f"{gpu.name}, {gpu.memory:,} MiB, sm_{gpu.capability.replace('.', '')}, driver {gpu.driver}",
    )


def verdict(device: str, gpu: Gpu | None, results: list[Result]) -> tuple[bool, str]:
    """Whether to train, and the one line that says so."""
    failed = [result for result in results if result.ok is False]
    passed = sum(result.ok is True for result in results)
    if device == "cpu":
        return (
            not failed,
            f"no GPU was checked; on the processor {passed} checks passed, {len(failed)} failed",
        )
    if gpu is None:
        return False, f"not ready: no NVIDIA GPU here; {failed[0].mend}"
    if failed:
        names = ", ".join(result.name for result in failed)
        return False, f"not ready: {gpu.name}: {names} failed; first {failed[0].mend}"
    return True, f"ready: {gpu.name}: {passed} checks passed; hardware={detected_profile()}"


def image_for(profile: str) -> str:
    """The container image whose torch has kernels for this GPU, as its profile says."""
    import hydra

    import shared.command.cli  # noqa: F401 (registers the resolvers)

    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return hydra.compose("imagenet_resnet", overrides=[f"hardware={profile}"]).hardware.image


def run(args: argparse.Namespace) -> int:
    gpu = first_gpu() if args.device == "gpu" else None
    results = [driver_check(gpu)] if args.device == "gpu" else []
    if gpu or args.device == "cpu":
        for framework in FRAMEWORKS:
            results += check(framework, args.device, args.fast)
    ready, line = verdict(args.device, gpu, results)
    if gpu and not ready:
        line += f" (image {image_for(detected_profile())})"
    if args.json:
        print_json({"ready": ready, "verdict": line, "checks": [vars(result) for result in results]})
        return 0 if ready else 1
    for result in results:
        word = {True: "ok", False: "FAILED", None: "skipped"}[result.ok]
        print(
            f"{word:8s} {result.name:20s} {result.detail}"
            + (f"\n{'':9s}-> {result.mend}" if result.mend else "")
        )
    print(f"verdict: {line}")
    return 0 if ready else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--device", choices=("gpu", "cpu"), default="gpu", help="what to check (default %(default)s)"
    )
    made.add_argument("--fast", action="store_true", help="without the compiled step, which takes a minute")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), run)

"""The guide on sweeps: its scripts run as they stand, with Optuna and wandb, or with stand-ins that have the functions they call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from archc import loads
from archc.tests.support import ROOT
from archc.training import recipe

GUIDE = (ROOT / "docs/guides/sweeps.md").read_text(encoding="utf-8")

OPTUNA = '''
"""Stands in for Optuna: two trials, of which the second is pruned at its first report."""
from types import SimpleNamespace

class TrialPruned(Exception): pass

class Trial:
    def __init__(self, number): self.number, self.params, self.reports = number, {}, []
    def _kept(self, name, value): self.params[name] = value; return value
    def suggest_int(self, name, low, high, *, step=1, log=False): return self._kept(name, low + step * self.number)
    def suggest_float(self, name, low, high, *, step=None, log=False): return self._kept(name, 0.01)
    def suggest_categorical(self, name, choices): return self._kept(name, choices[1])
    def report(self, value, step): self.reports.append((value, step))
    def should_prune(self): return self.number == 1 and bool(self.reports)

class Study:
    def optimize(self, objective, n_trials=None):
        self.told = []
        for number in range(2):
            trial = Trial(number)
            try: self.told.append((objective(trial), trial.params))
            except TrialPruned: print("pruned after", trial.reports)
        self.best_value, self.best_params = max(self.told, key=lambda pair: pair[0])

def create_study(*, direction=None, pruner=None, storage=None, study_name=None, load_if_exists=False):
    assert direction == "maximize"
    return Study()

pruners = SimpleNamespace(MedianPruner=lambda n_startup_trials=5, n_warmup_steps=0: None)
'''
WANDB = '''
"""Stands in for wandb: a run with a choice, which prints what it is told."""
from pathlib import Path

class Artifact:
    def __init__(self, name, type): self.name, self.files = name, []
    def add_file(self, path): assert Path(path).is_file(); self.files.append(path)

class Run:
    id, config, summary = "abc", {"channels": 8, "rate": 0.01, "batch": 64}, {}
    def __enter__(self): return self
    def __exit__(self, *args): print("summary", self.summary)
    def log(self, data, step=None): print("logged", step, sorted(data))
    def log_artifact(self, artifact): print("artifact", artifact.name, artifact.files)

def init(): return Run()
'''


def scripts() -> dict[str, str]:
    """The scripts of the guide, by the names that they begin with."""
    found = re.findall(r"```python\n(\"\"\"(\w+\.py): .*?)```", GUIDE, re.DOTALL)
    return {name: text for text, name in found}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guide_holds_what_it_names() -> None:
    assert set(scripts()) == {"once.py", "tune.py", "agent.py"}
    for text in scripts().values():
        compile(text, "guide", "exec")
    (sweep,), (net,) = map(yaml.safe_load, blocks("yaml")), blocks("arch")
    assert sweep["program"] == "agent.py" and sweep["metric"] == {"name": "top1", "goal": "maximize"}
    assert sweep["method"] in ("bayes", "grid", "random") and set(sweep["parameters"]) == {"channels", "rate", "batch"}
    for channels in (4, 32, *sweep["parameters"]["channels"]["values"]):
        assert loads(net, channels=channels).params > 0
    names: dict[str, str] = {}
    exec(scripts()["once.py"], names)
    assert recipe.parsed(names["RECIPE"].format(epochs=6, batch=64, rate=0.01), "r.toml").rate == 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("script", "package", "stand_in"), [("tune.py", "optuna", OPTUNA), ("agent.py", "wandb", WANDB)])
def test_its_scripts_run(script: str, package: str, stand_in: str, tmp_path: Path) -> None:
    """A run of wandb's needs no account offline; of the 20 trials of Optuna, 2 are run."""
    for name, text in scripts().items():
        (tmp_path / name).write_text(text.replace("n_trials=20", "n_trials=2"))
    (tmp_path / "net.arch").write_text(blocks("arch")[0])
    real = package == "optuna" and find_spec(package) is not None
    if not real:
        (tmp_path / f"{package}.py").write_text(stand_in)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/archc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "cli.py"}" "$@"\n')
    command.chmod(0o755)
    around = os.environ | {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=around, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    if package == "wandb":
        assert done.stdout.count("logged") == 6 and "'best'" in done.stdout and "best.safetensors" in done.stdout
    elif not real:
        assert "pruned after" in done.stdout and "'channels': 4" in done.stdout

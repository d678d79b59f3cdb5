"""Reading programs for what can make one seed give two results: each rule, where it alarms and where it keeps quiet.

In the programs below ``# found: rule`` marks a line with a fault, ``# found: rule note`` one with a note. Every line
without a mark must be left alone.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seedbed as sb
from seedbed.auditing.lint import RULES, Finding, lint_files, lint_source, neighbours
from seedbed.auditing.lint.remembering import DEEP

ROOT = Path(__file__).parents[1]
_MARK = re.compile(r"# found: ([\w-]+)( note)?")


def marked(text: str) -> set[tuple[int, str, str]]:
    """Line, rule and severity of every mark in a program."""
    return {
        (line, match[1], "note" if match[2] else "fault")
        for line, code in enumerate(text.splitlines(), 1)
        for match in _MARK.finditer(code)
    }


def found(text: str, *, whole_program: bool = False) -> set[tuple[int, str, str]]:
    return {(each.line, each.rule, each.severity) for each in lint_source(text, "it.py", whole_program=whole_program)}


def check(text: str, *, whole_program: bool = False) -> None:
    text = textwrap.dedent(text)
    assert found(text, whole_program=whole_program) == marked(text)


def programs(text: str) -> list[str]:
    """Programs that are parted by lines of dashes."""
    return [each.strip("\n") for each in re.split(r"^-{3,}$", textwrap.dedent(text), flags=re.MULTILINE)]


UNSEEDED = """
import numpy as np
rng = np.random.default_rng()  # found: unseeded-generator
rng = np.random.default_rng(3)
rng = np.random.default_rng(None)  # found: unseeded-generator
rng = np.random.default_rng(seed=None)  # found: unseeded-generator
rng = np.random.Generator(np.random.PCG64())  # found: unseeded-generator
sequence = np.random.SeedSequence()  # found: unseeded-generator
old = np.random.RandomState()  # found: unseeded-generator
np.random.seed()  # found: unseeded-generator
np.random.seed(1)
---
from numpy.random import default_rng as generator
import random as r
a = generator()  # found: unseeded-generator
b = r.Random()  # found: unseeded-generator
c = r.Random(3)
r.seed()  # found: unseeded-generator
r.seed(None)  # found: unseeded-generator
d = r.SystemRandom()  # found: unseeded-generator
---
nothing = None
import numpy
rng = numpy.random.default_rng(nothing)  # found: unseeded-generator
---
def train(seed=None, *options, **more):
    import numpy as np
    return np.random.default_rng(seed), np.random.default_rng(*options), np.random.RandomState(**more)
---
import numpy as np
def train(rng=None):
    if rng is None:
        rng = np.random.default_rng()  # found: unseeded-generator note
    rng = rng or np.random.default_rng()  # found: unseeded-generator note
    return rng if rng else np.random.default_rng()  # found: unseeded-generator note
def other(rng=np.random.default_rng()):  # found: unseeded-generator note
    return rng
---
import dataclasses, numpy as np
@dataclasses.dataclass
class Options:
    rng: object = dataclasses.field(default_factory=np.random.default_rng)  # found: unseeded-generator note
---
import random
class Order:
    def __init__(self):
        self.rng = random.Random()
    def reset(self, seed):
        self.rng.seed(seed)
---
import torch
torch.seed()  # found: unseeded-generator
g = torch.Generator()
g.seed()  # found: unseeded-generator
h = torch.Generator().manual_seed(3)
h.seed()  # found: unseeded-generator
cuda = torch.Generator(device="cuda")  # found: unseeded-generator note
---
import torch
seeded = torch.Generator(device="cuda").manual_seed(1)
later = torch.Generator("cuda")
later.manual_seed(3)
cpu = torch.Generator("cpu")
def make(device):
    g = torch.Generator(device)
    return g
---
import os, secrets, uuid
key = os.urandom(8)  # found: unseeded-generator note
number = secrets.randbelow(10)  # found: unseeded-generator note
other = secrets.randbelow(10) + 1  # found: unseeded-generator note
label = "run" + secrets.token_hex(3)
split = uuid.uuid4().int % 5  # found: unseeded-generator note
name = f"run-{uuid.uuid4()}"
folder = os.path.join("runs", secrets.token_hex(4)), "runs/" + str(uuid.uuid1()), uuid.uuid4().hex
print(secrets.token_hex(4))
---
class Random:
    pass
def default_rng(): ...
random = Random()
random.seed()
default_rng()
def f(np): return np.random.default_rng()
"""

OUTSIDE = """
import time, random, os, datetime
import numpy as np, torch
random.seed(time.time())  # found: seed-from-outside
np.random.seed(int(time.time() * 1000) % 2**32)  # found: seed-from-outside
torch.manual_seed(os.getpid())  # found: seed-from-outside
torch.cuda.manual_seed_all(hash("run"))  # found: seed-from-outside
rng = np.random.default_rng([3, time.time_ns()])  # found: seed-from-outside
random.seed(id(rng))  # found: seed-from-outside
random.seed(hash(3))
random.seed(hash(options))  # found: seed-from-outside note
random.seed(os.urandom(4))  # found: seed-from-outside
torch.Generator().manual_seed(datetime.datetime.now().microsecond)  # found: seed-from-outside
started = time.time()
torch.manual_seed(3)
---
from time import time as now
from datetime import datetime as dt
import random
def train():
    seed = now()
    other = int(seed) + 1
    random.seed(other)  # found: seed-from-outside
    seed = 3
    random.seed(seed)
    random.seed(str(dt.now()))  # found: seed-from-outside
---
import time, torch
SEED = int(time.time())
def train():
    torch.manual_seed(SEED)  # found: seed-from-outside
---
import time, torch
def train(seed=None, other=None):
    if seed is None:
        seed = int(time.time())
    torch.manual_seed(seed)  # found: seed-from-outside note
    torch.manual_seed(other or time.time_ns())  # found: seed-from-outside note
    torch.manual_seed(other if other else time.time_ns())  # found: seed-from-outside note
    if seed:
        last = time.time()
    else:
        last = time.time_ns()
    torch.manual_seed(int(last))  # found: seed-from-outside
def default(seed=time.time()):
    torch.manual_seed(seed)  # found: seed-from-outside note
---
import time, torch
seed = 3
seed += int(time.time())
torch.manual_seed(seed)  # found: seed-from-outside
---
import os, time
from lightning import seed_everything
from utils import set_seed
seed_everything(int(time.time()))  # found: seed-from-outside
set_seed(os.getpid())  # found: seed-from-outside
set_seed(int(os.environ["SEED"]))
---
import time, jax
from sklearn.model_selection import train_test_split
key = jax.random.key(time.time_ns())  # found: seed-from-outside
parts = train_test_split([1, 2], random_state=int(time.time()))  # found: seed-from-outside
---
import argparse, time, torch
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=int(time.time()))  # found: seed-from-outside note
parser.add_argument("--started", default=time.time())
torch.manual_seed(parser.parse_args().seed)
---
import time, torch
class Training:
    def __init__(self):
        self.seed = int(time.time())
        self.began = time.time()
        self.fixed = 3
    def start(self):
        torch.manual_seed(self.seed)  # found: seed-from-outside
        torch.manual_seed(self.fixed)
---
import torch
def hash(text): return len(text)
torch.manual_seed(hash("it"))
"""

LOADERS = """
import torch
from torch.utils.data import DataLoader, TensorDataset
def loaders(data, n):
    yield DataLoader(data, 8, shuffle=True, num_workers=4)  # found: loader-workers note
    yield DataLoader(data, batch_size=8, shuffle=True, num_workers=n)  # found: loader-workers note
    yield DataLoader(data, sampler=range(3), num_workers=2)  # found: loader-workers note
    yield DataLoader(data, num_workers=2)
    yield DataLoader(data, shuffle=True)
    yield DataLoader(data, shuffle=True, num_workers=0)
    yield DataLoader(data, shuffle=True, num_workers=2, generator=torch.Generator())
    yield DataLoader(data, shuffle=True, num_workers=2, worker_init_fn=print)
    yield DataLoader(data, shuffle=True, num_workers=2, generator=None)  # found: loader-workers note
    yield DataLoader(data, num_workers=2, in_order=False)  # found: loader-workers
    plain = TensorDataset(data)
    yield DataLoader(plain, shuffle=True, num_workers=2)
    yield DataLoader(torch.utils.data.Subset(plain, [0]), shuffle=True, num_workers=2)
---
from torch.utils import data as D
import numpy as np
WORKERS = 0
class Draws(D.Dataset):
    def __getitem__(self, index): return np.random.rand()
class Holds(D.Dataset):
    def __init__(self): self.numbers = np.random.default_rng(3)
class Plain(D.Dataset):
    def __init__(self, rows): self.rows = rows
    def __getitem__(self, index): return self.rows[index]
class Unknown(Plain):
    pass
a = D.DataLoader(Draws(), num_workers=1)  # found: loader-workers note
b = D.DataLoader(Holds(), num_workers=1)  # found: loader-workers note
c = D.DataLoader(Plain([1]), shuffle=True, num_workers=1)
d = D.DataLoader(Unknown([1]), num_workers=1)
e = D.DataLoader(Draws(), num_workers=WORKERS)
"""

SETS = """
def words(text, other: set[str], numbers: set[int], maybe: "set[str] | None", things: set):
    for word in {"a", "b"}:  # found: set-iteration
        use(word)
    for word in set(text.split()):  # found: set-iteration
        use(word)
    for word in other:  # found: set-iteration
        use(word)
    for word in maybe:  # found: set-iteration
        use(word)
    for thing in things:  # found: set-iteration note
        use(thing)
    for number in numbers:
        use(number)
    for number in {1, 2.5, -3}:
        use(number)
    for number in set(range(3)):
        use(number)
    for number in {len(word) for word in text}:
        use(number)
    for word in sorted(other):
        use(word)
---
def uses(s: set[str], t, vectors):
    yield list(s)  # found: set-iteration
    yield tuple(s)  # found: set-iteration
    yield enumerate(s)  # found: set-iteration
    yield zip(s, t)  # found: set-iteration
    yield iter(s)  # found: set-iteration
    yield next(iter(s))  # found: set-iteration
    yield s.pop()  # found: set-iteration
    yield "".join(s)  # found: set-iteration
    yield [x for x in s]  # found: set-iteration
    yield (x for x in s)  # found: set-iteration
    yield use(*s)  # found: set-iteration
    yield [*s]  # found: set-iteration
    yield {i: x for i, x in enumerate(s)}  # found: set-iteration
    yield {x: i for i, x in enumerate(list(s))}  # found: set-iteration
    yield {x: t[x] for x in s}  # found: set-iteration note
    yield dict.fromkeys(s)  # found: set-iteration note
    yield sum(vectors[x] for x in s)  # found: set-iteration note
    yield max(s, key=t.count)  # found: set-iteration note
    yield sorted(s, key=len)  # found: set-iteration note
    yield sorted(s, key=lambda x: -len(x))  # found: set-iteration note
    yield sorted(s, key=lambda x: (-t[x], len(x)))  # found: set-iteration note
    yield sorted(s, key=lambda x: (-t[x], x))
    yield list(map(use, s))  # found: set-iteration
    yield list(s)[0]  # found: set-iteration
    a, b = s  # found: set-iteration
    t += s  # found: set-iteration
    t.extend(s)  # found: set-iteration
    yield from s  # found: set-iteration
---
import numpy as np, torch, random
def arrays(s: frozenset[str]):
    yield np.array(list(s))  # found: set-iteration
    yield torch.tensor([len(x) for x in s])  # found: set-iteration
    yield random.choice(list(s))  # found: set-iteration
    yield np.unique(list(s))
    yield np.sort(list(s))
---
def quiet(s: set[str], t, frame, logger):
    yield sorted(s)
    yield sorted(use(x) for x in s)
    yield sorted([use(x) for x in s if x])
    yield sorted(s, key=str.lower)
    yield len(s), min(s), max(s), "a" in s
    yield any(use(x) for x in s), all([use(x) for x in s])
    yield set(s), frozenset(s), {use(x) for x in s}, {*s}, set(list(s))
    yield sum(1 for x in s), sum(len(x) for x in s), sum(s)
    yield sorted([*s, *t]), {*s, *t}, max([*s])
    yield len(list(s)), t in list(s), bool(list(s))
    yield frame.isin(list(s)), frame.drop(columns=list(s)), s.union(list(t))
    (only,) = s
    print(", ".join(s), list(s))
    logger.warning("these: %s", ", ".join(s))
    assert not s, f"left: {', '.join(s)}"
    if t:
        raise ValueError(f"no such: {', '.join(s)}")
---
class Vocabulary:
    extra: set[str]
    def __init__(self, text, given: "frozenset[str]"):
        self.words = set(text.split())
        self.made = self.make()
        self.seen = set()
        self.counts = set()
        self.given = given
        self.mixed = {"a"}
        self.mixed = ["a"]
    def build(self):
        self.seen.add("a")
        self.counts.add(3)
        a = list(self.words)  # found: set-iteration
        b = list(self.seen)  # found: set-iteration
        c = list(self.counts)
        d = list(self.given)  # found: set-iteration
        e = list(self.extra)  # found: set-iteration
        f = list(self.mixed)
        g = list(self.made), list(self.make())  # found: set-iteration
        return a, b, c, d, e, f, g
    def make(self) -> set[str]: ...
    @staticmethod
    def other(it):
        return list(it.words)
    def __repr__(self):
        return ", ".join(self.words)
---
def known(a, b: set[str], c):
    first = b | set(c)
    for x in first:  # found: set-iteration
        use(x)
    for x in b.difference(c):  # found: set-iteration
        use(x)
    for x in b - c:  # found: set-iteration
        use(x)
    for x in a.keys() - b:  # found: set-iteration note
        use(x)
    for x in a | c:
        use(x)
    for x in a.keys():
        use(x)
    for x in set(a) & {1, 2}:
        use(x)
    names = set(a)
    names = sorted(names)
    for x in names:
        use(x)
    if c:
        names = {"a"}
    for x in names:
        use(x)
    later = None
    if c:
        later = {"a"}
    for x in later:  # found: set-iteration
        use(x)
---
def names(paths, layers):
    classes = set()
    for path in paths:
        classes.add(path.parent.name)
    yield {name: i for i, name in enumerate(classes)}  # found: set-iteration
    yield list({type(each).__name__ for each in layers})  # found: set-iteration
---
def made() -> set[str]: ...
for x in made():  # found: set-iteration
    use(x)
def outer():
    def inner():
        for x in given:  # found: set-iteration
            use(x)
    given = {"a", "b"}
    return inner
def shadow(set):
    for x in set("ab"):
        use(x)
---
def loops(s: set[str], table, other, vectors):
    for x in s:
        print(x)
    for x in s:
        del table[x]
    for x in s:
        other.add(x)
    for x in s:
        if x in table:
            table.pop(x)
    for x in s:
        table[x] = 0
    count = 0
    for x in s:
        count += 1
    for x in s:
        if x not in table:
            return False
    found = []
    for x in s:
        found.append(x)
    found.sort()
    kept = []
    for x in s:
        kept.append(x)
    yield sorted(kept)
    for x in s:  # found: set-iteration
        table[x] = len(table)
    for x in s:  # found: set-iteration
        table[x] = count
        count += 1
    for x in s:  # found: set-iteration
        yield x
    for x in s:  # found: set-iteration
        if x in other:
            last = x
    total = 0.0
    for x in s:  # found: set-iteration
        total += vectors[x]
    for x in s:  # found: set-iteration
        other.add(x)
        break
    for x in s:
        for each in vectors:
            if each in x:
                other.add(x)
                break
    listed = []
    for x in s:  # found: set-iteration
        listed.append(x)
    yield listed, last, total
---
import numpy as np
def weights(s: set[str], table):
    for x in s:  # found: set-iteration
        table[x] = np.random.rand()
---
def alone(s: set[str]):
    if len(s) == 1:
        return s.pop(), next(iter(s)), list(s)[0]
def taken(s: set[str]):
    s.pop()
    s.pop("a")
    order = list(s)
    order.sort()
    listed = list(s)
    for x in sorted(listed):
        use(x)
    return order
"""

HASHES = """
def values(name: str, x, y, items, table):
    yield hash(name) % 100  # found: hash-order
    yield hash(f"{x}")  # found: hash-order
    yield hash(("a", 3))  # found: hash-order
    yield hash(x)  # found: hash-order note
    yield hash(3), hash((1, 2)), hash(len(name))
    yield hash(x) == hash(y)
    yield table[hash(x)], {hash(x)}, table.get(hash(x))
    yield sorted(items, key=id)  # found: hash-order
    yield sorted(items, key=hash)  # found: hash-order
    yield sorted(items, key=lambda each: hash(each.name))  # found: hash-order
    items.sort(key=lambda each: (each.size, id(each)))  # found: hash-order
    yield id(x) % 7  # found: hash-order
    yield id(x) < id(y)  # found: hash-order
    yield id(x) == id(y), table[id(x)], {id(x): x}, "%d" % id(x)
    print(hash(name), id(x) % 3)
    known_hash = hash(x)
    yield use(key=hash(name))  # found: hash-order
    hash(name)
class Thing:
    def __hash__(self):
        return hash((self.name, 3))
---
from mine import hash, id
a, b = hash("a"), sorted([], key=id)
"""

LISTINGS = """
import os, glob
from glob import glob as find, iglob
from pathlib import Path
def lists(folder):
    for name in os.listdir(folder):  # found: unsorted-listing note
        use(name)
    for name in sorted(os.listdir(folder)):
        use(name)
    yield glob.glob("*.png")  # found: unsorted-listing note
    yield find("*.png")[0]  # found: unsorted-listing note
    yield list(iglob("*"))  # found: unsorted-listing note
    yield [each.name for each in os.scandir(folder)]  # found: unsorted-listing note
    yield sorted(each.name for each in os.scandir(folder))
    with os.scandir(folder) as entries:  # found: unsorted-listing note
        yield [each.name for each in entries]
    with os.scandir(folder) as entries:
        yield sorted(each.name for each in entries)
    yield len(os.listdir(folder)), set(find("*")), "a" in os.listdir(folder), any(find("*"))
    yield list(Path(folder).iterdir())  # found: unsorted-listing note
    yield list(Path(folder).glob("*"))  # found: unsorted-listing note
    yield [each for each in (Path(folder) / "a").rglob("*.txt")]  # found: unsorted-listing note
    yield sorted(Path(folder).glob("*"))
    yield next(Path(folder).iterdir(), None) is None
    yield folder.glob("*")
    yield [each for each in os.listdir(folder) if each == "a.txt"]
    if not os.listdir(folder) or os.listdir(folder) == []:
        print(os.listdir(folder))
---
import os
def variables(p):
    a = os.listdir(p)
    a.sort()
    b = os.listdir(p)
    for f in sorted(b):
        use(f)
    c = [os.path.join(p, f) for f in os.listdir(p) if f.endswith(".png")]
    c = sorted(c)
    d = os.listdir(p)  # found: unsorted-listing note
    for f in d:
        use(f)
    e = os.listdir(p)  # found: unsorted-listing note
    f = e + os.listdir(p)  # found: unsorted-listing note
    g = []
    for each in os.listdir(p):
        if each.endswith(".csv"):
            g.append(each)
    g.sort()
    h = []
    for each in os.listdir(p):  # found: unsorted-listing note
        h.append(each)
    for each in os.listdir(p):
        os.remove(os.path.join(p, each))
    return a, c, f, g, h
class Images:
    def __init__(self, root: "Path"):
        self.files = os.listdir(root)  # found: unsorted-listing note
        self.sorted = os.listdir(root)
        self.sorted.sort()
        self.more = list(root.glob("*"))  # found: unsorted-listing note
---
import os
def walks(p):
    for root, folders, files in os.walk(p):  # found: unsorted-listing note
        for file in files:
            use(file)
    for root, folders, files in os.walk(p):  # found: unsorted-listing note
        for file in sorted(files):
            use(file)
    for root, folders, files in os.walk(p):
        folders.sort()
        for file in sorted(files):
            use(file)
    for root, _, files in sorted(os.walk(p)):
        for file in sorted(files):
            use(file)
    for root, _, files in sorted(os.walk(p)):  # found: unsorted-listing note
        for file in files:
            use(file)
    gathered = []
    for root, _, files in os.walk(p):
        for file in files:
            gathered.append(os.path.join(root, file))
    return sorted(gathered)
"""

SETTINGS = """
import torch
import torch.backends.cudnn as cudnn
from torch.backends import cudnn as other
torch.backends.cudnn.benchmark = True  # found: cudnn-benchmark
cudnn.benchmark = True  # found: cudnn-benchmark
other.benchmark = False
cudnn.deterministic = True
torch.backends.cuda.matmul.allow_tf32 = True  # found: tf32 note
cudnn.allow_tf32 = True  # found: tf32 note
cudnn.allow_tf32 = False
torch.set_float32_matmul_precision("high")  # found: tf32 note
torch.set_float32_matmul_precision("medium")  # found: tf32 note
torch.set_float32_matmul_precision("highest")
torch.backends.fp32_precision = "ieee"
torch.backends.cuda.matmul.fp32_precision = "tf32"  # found: tf32 note
def fast(quick):
    if quick:
        cudnn.benchmark = True  # found: cudnn-benchmark note
class mine:
    benchmark = False
mine.benchmark = True
---
import lightning as L
L.Trainer(benchmark=True, max_epochs=3)  # found: cudnn-benchmark
L.Trainer(max_epochs=3)
if __name__ == "__main__":
    L.Trainer(benchmark=True)  # found: cudnn-benchmark
"""

MEMORY = """
import torch, numpy as np
from torch import nn
def made(n, x):
    yield torch.empty(3)  # found: uninitialised-memory note
    yield torch.empty_like(x)  # found: uninitialised-memory note
    yield x.new_empty(3)  # found: uninitialised-memory note
    yield np.empty((3, 4))  # found: uninitialised-memory note
    yield torch.Tensor(3, 4)  # found: uninitialised-memory note
    yield torch.FloatTensor(3)  # found: uninitialised-memory note
    yield torch.Tensor([3, 4]), torch.Tensor(x), torch.Tensor()
    yield torch.empty(0), np.empty((0, 3)), torch.empty(3, device="meta"), np.empty(3, dtype=object)
    yield torch.empty(3).normal_(), torch.empty(3).fill_(1), nn.init.zeros_(torch.empty(3))
    yield torch.empty(3, dtype=x.dtype).element_size(), torch.empty(3).shape
    a = torch.empty(3)
    a.uniform_()
    b = torch.empty(3)
    b[:] = x
    c = np.empty(n)
    for i in range(n):
        c[i] = i
    d = torch.empty(3)
    nn.init.normal_(d)
    e = torch.empty(3)
    torch.mul(x, x, out=e)
    f = torch.empty(3)
    f.data.copy_(x)
    g = torch.empty(3)  # found: uninitialised-memory note
    h = torch.empty(3)
    launch(h)
    i, j = np.empty(n), np.empty(n)
    i[0] = j[0] = 1
    k = torch.empty(3)  # found: uninitialised-memory note
    m = np.empty(n)  # found: uninitialised-memory note
    for i in range(n):
        m[i] += x[i]
    return a, b, c, d, e, f, g, h, i, j, torch.sum(k), m
---
import torch
from torch import nn
class Filled(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, n))
        self.register_buffer("scale", torch.empty(n))
        nn.init.xavier_uniform_(self.weight)
        self.scale.fill_(1)
class Reset(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, n))
        self.reset()
    def reset(self):
        ...
class Forgotten(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, n))  # found: uninitialised-memory note
        self.register_buffer("scale", torch.empty(n))  # found: uninitialised-memory note
        self.bias = nn.Parameter(torch.empty(n))
        torch.nn.init.zeros_(self.bias)
    def forward(self, x):
        return x @ self.weight * self.scale + self.bias
"""

WHOLE = """
import random, numpy as np, torch
a = np.random.rand(3)  # found: global-generator-unseeded
b = np.random.rand(3)
c = random.random()  # found: global-generator-unseeded
d = torch.rand(3)  # found: global-generator-unseeded
---
import random, numpy as np, torch
def main(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
a, b, c = random.random(), np.random.rand(), torch.rand(3)
---
import torch
from torch import nn
model = nn.Linear(2, 2)  # found: global-generator-unseeded
---
import torch
from torch.utils.data import DataLoader
loader = DataLoader([1], shuffle=False)
loader = DataLoader([1], shuffle=True, generator=torch.Generator())
loader = DataLoader([1], shuffle=True)  # found: global-generator-unseeded
---
import torch
weight = torch.zeros(3)
weight.normal_()  # found: global-generator-unseeded
torch.cuda.manual_seed_all(3)
---
import torch, numpy as np, random
from mine import fix_all_seeds
fix_all_seeds(3)
a, b, c = random.random(), np.random.rand(), torch.rand(3)
---
import torch, lightning as L
L.seed_everything(3)
a = torch.rand(3)
---
import torch
g = torch.Generator().manual_seed(3)
a = torch.rand(3, generator=g), torch.zeros(3), torch.randperm(3, generator=g)
---
import numpy as np
np.random.seed()  # found: unseeded-generator
a = np.random.rand(3)  # found: global-generator-unseeded
---
import gym, torch
env = gym.make("it")
env.seed(3)
a = torch.rand(3)  # found: global-generator-unseeded
---
from jax import random
import numpy as np
key = random.key(3)
a = random.normal(key, (3,)), np.random.default_rng(3).random()
---
import torch
def set_seed(seed):
    pass
set_seed(3)
a = torch.rand(3)  # found: global-generator-unseeded
---
import torch
from mine import get_seed, parse_seeds
seeds = parse_seeds("3"), get_seed(3)
a = torch.rand(3)  # found: global-generator-unseeded
---
import numpy as np
from sklearn.model_selection import train_test_split
a = train_test_split([1, 2], random_state=3)
b = train_test_split([1, 2])  # found: global-generator-unseeded
---
import transformers, torch
model = torch.nn.Linear(2, 2)
transformers.Trainer(model).train()
"""


@pytest.mark.parametrize(
    "text",
    [
        program
        for cases in (UNSEEDED, OUTSIDE, LOADERS, SETS, HASHES, LISTINGS, SETTINGS, MEMORY)
        for program in programs(cases)
    ],
)
def test_a_rule_alarms_where_it_must_and_nowhere_else(text: str) -> None:
    check(text)


@pytest.mark.parametrize("text", programs(WHOLE))
def test_a_whole_program_seeds_what_it_draws_from(text: str) -> None:
    check(text, whole_program=True)
    assert not {rule for _, rule, _ in found(text)} & {"global-generator-unseeded"}  # said of whole programs only


def test_every_rule_is_met_by_these_programs() -> None:
    cases = (UNSEEDED, OUTSIDE, LOADERS, SETS, HASHES, LISTINGS, SETTINGS, MEMORY, WHOLE)
    assert {rule for text in cases for _, rule, _ in marked(text)} == set(RULES)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import numpy as n", "n.random.default_rng"),
        ("import numpy.random", "numpy.random.default_rng"),
        ("import numpy.random as n", "n.default_rng"),
        ("from numpy import random", "random.default_rng"),
        ("from numpy.random import default_rng", "default_rng"),
        ("from numpy.random import *", "default_rng"),
        ("import numpy as n; mine = n.random.default_rng", "mine"),
        ("try:\n    import numpy as n\nexcept ImportError:\n    n = None", "n.random.default_rng"),
        ("import numpy.random.mtrand as n", "n.default_rng"),
    ],
)
def test_names_are_followed_through_imports(line: str, name: str) -> None:
    assert {rule for _, rule, _ in found(f"{line}\n{name}()\n{name}(3)\n")} == {"unseeded-generator"}


@pytest.mark.parametrize(
    "line",
    ["import mine as numpy", "def numpy(): ...", "numpy = thing()", "from . import numpy", "for numpy in []: pass"],
)
def test_what_the_file_binds_otherwise_is_not_taken_for_the_library(line: str) -> None:
    assert not found(f"{line}\nnumpy.random.default_rng()\n")
    assert not found("import numpy\ndef f(numpy):\n    numpy.random.default_rng()\n")


def test_a_finding_tells_where_what_and_what_to_do() -> None:
    (finding,) = lint_source("import numpy as np\n\nrng = (\n    np.random.default_rng( ) )\n", "train.py")
    assert finding == Finding(
        rule="unseeded-generator",
        severity="fault",
        file="train.py",
        line=4,
        code="np.random.default_rng( ) )",
        message="numpy.random.default_rng() gets no seed and takes one from the operating system: what it draws "
        "differs in every run.",
        remedy="Give it a seed: a number, or one that is drawn from a generator that has been seeded.",
    )


def test_messages_are_whole_sentences() -> None:
    for cases in (UNSEEDED, OUTSIDE, LOADERS, SETS, HASHES, LISTINGS, SETTINGS, MEMORY, WHOLE):
        for text in programs(cases):
            for finding in lint_source(text, "it.py", whole_program=True):
                for words in (finding.message, finding.remedy):
                    assert words.endswith(".")
                    assert "  " not in words
                    assert ".." not in words.replace("(...)", "")


@pytest.mark.parametrize(
    ("comment", "silent"),
    [
        ("# seedbed: ignore", True),
        ("#seedbed:ignore", True),
        ("# noqa: E501  # seedbed: ignore", True),
        ("# seedbed: ignore, as it names a run", True),
        ("# seedbed: ignore[unseeded-generator]", True),
        ("# seedbed: ignore[tf32, unseeded-generator]", True),
        ("# seedbed: ignore[tf32]", False),
        ("# seedbed: ignore[]", False),
        ("# ignore", False),
    ],
)
def test_a_comment_silences_its_line(comment: str, silent: bool) -> None:
    text = f"import random\nrandom.seed()  {comment}\nrandom.seed()\n"
    assert [line for line, _, _ in sorted(found(text))] == ([3] if silent else [2, 3])


def test_only_a_comment_silences() -> None:
    assert found("import random\nrandom.seed(); a = '# seedbed: ignore'\n")
    assert not found("import random\nrandom.seed(\n    None,\n)  # seedbed: ignore\n")
    assert found("import random\nrandom.seed(\n    None,  # seedbed: ignore\n)\n")


def test_a_silenced_draw_needs_no_seed() -> None:
    text = "import random\nrandom.random()  # seedbed: ignore\n"
    assert not found(text, whole_program=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef f(:\n", r"^train\.py is no valid Python, line 2: "),
        ("x = '\n", r"^train\.py is no valid Python, line 1: "),
        ("x = 1\0", r"^train\.py is no valid Python"),
        ("(" * 5000 + ")" * 5000, r"^train\.py is no valid Python"),
        ("x = " + " | ".join(["y"] * 20_000), r"^train\.py nests too deeply to be read"),
    ],
)
def test_what_is_no_python_is_told(text: str, message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        lint_source(text, "train.py")


def test_lines_are_pythons_own() -> None:
    text = 'import random\x0c\nx = """\x1c\u2028"""\r\nrandom.seed()\n'
    assert [(each.line, each.code) for each in lint_source(text, "it.py")] == [(3, "random.seed()")]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(sb.InputError, match=r"none\.py cannot be read: No such file"):
        lint_files([tmp_path / "none.py"])
    wrong = tmp_path / "wrong.py"
    wrong.write_bytes(b"x = '\xff'\n")
    with pytest.raises(sb.InputError, match=r"wrong\.py is no valid Python"):
        lint_files([wrong])
    latin = tmp_path / "latin.py"
    latin.write_bytes(b"# coding: latin-1\nx = '\xff'\nimport random\nrandom.seed()\n")
    assert [each.line for each in lint_files([latin])] == [4]


def test_several_files_are_ordered_and_each_is_read_once(tmp_path: Path) -> None:
    for name in ("b.py", "a.py"):
        (tmp_path / name).write_text("import random\nrandom.seed()\nx = random.Random()\n")
    findings = lint_files([tmp_path / "b.py", str(tmp_path / "a.py"), tmp_path / "b.py"])
    assert [(Path(each.file).name, each.line) for each in findings] == [
        ("a.py", 2),
        ("a.py", 3),
        ("b.py", 2),
        ("b.py", 3),
    ]
    assert findings[0].file == str(tmp_path / "a.py")


def test_a_seed_in_any_file_counts_for_the_whole_program(tmp_path: Path) -> None:
    main, helper = tmp_path / "main.py", tmp_path / "helper.py"
    main.write_text("import torch\nfrom helper import prepare\nprepare(3)\nx = torch.rand(3)\n")
    helper.write_text("import torch, random\ny = torch.rand(3)\ndef prepare(seed): ...\nz = random.random()\n")
    findings = lint_files([main, helper], whole_program=True)
    assert [(Path(each.file).name, each.line) for each in findings] == [("helper.py", 4), ("main.py", 4)]
    helper.write_text("import torch\ndef prepare(seed):\n    torch.manual_seed(seed)\n")
    assert not lint_files([main, helper], whole_program=True)


def test_a_helper_that_is_read_counts_by_what_it_does_and_another_by_its_name(tmp_path: Path) -> None:
    main, helper = tmp_path / "main.py", tmp_path / "helper.py"
    main.write_text("import torch, random\nfrom helper import set_seed\nset_seed(3)\ntorch.rand(3), random.random()\n")
    helper.write_text("import torch\ndef set_seed(seed):\n    torch.manual_seed(seed)\n")
    assert not lint_files([main], whole_program=True)
    (finding,) = lint_files([main, helper], whole_program=True)
    assert "Python's random module" in finding.message


def test_the_first_draw_is_that_of_the_file_that_is_given_first(tmp_path: Path) -> None:
    for name in ("b.py", "a.py"):
        (tmp_path / name).write_text("import random\nx = random.random()\n")
    (finding,) = lint_files([tmp_path / "b.py", tmp_path / "a.py", tmp_path / "b.py"], whole_program=True)
    assert Path(finding.file).name == "b.py"


def test_workers_by_the_number_of_cores_are_told() -> None:
    text = "import os\nfrom torch.utils.data import DataLoader\nn = os.cpu_count() // 2\n"
    (finding,) = lint_source(f"{text}DataLoader(data, shuffle=True, num_workers=n)\n", "it.py")
    assert "that of the machine's cores." in finding.message


def test_neighbours_are_the_users_own_modules(tmp_path: Path) -> None:
    for name, text in {
        "train.py": "import os, torch, models.net\nfrom helpers import seeds\nimport_module('late')\nimport common",
        "models/__init__.py": "",
        "models/net.py": "from . import layers\nfrom ..nowhere import x\nfrom .missing import y",
        "models/layers.py": "import models.net, random",
        "models/random.py": "",  # in a package: the standard library's is meant
        "models/unused.py": "",
        "helpers/__init__.py": "from helpers.more import z",
        "helpers/seeds.py": "",
        "helpers/more.py": "x = (",
        "late.py": "import train, rows, plain.more",
        "rows.py": "",
        "rows/image.txt": "",
        "plain/more.py": "",
        "src/common/__init__.py": "",
        "site-packages/torch/__init__.py": "",
        "os.py": "",  # beside the script, where Python finds it first
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    names = [each.relative_to(tmp_path).as_posix() for each in neighbours(tmp_path / "train.py", tmp_path)]
    assert names[0] == "train.py"
    assert sorted(names[1:]) == [
        "helpers/__init__.py",
        "helpers/more.py",
        "helpers/seeds.py",
        "late.py",
        "models/__init__.py",
        "models/layers.py",
        "models/net.py",
        "os.py",
        "plain/more.py",
        "rows.py",
        "src/common/__init__.py",
    ]


def test_neighbours_are_found_under_a_root_from_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "mine").mkdir()
    script = tmp_path / "scripts" / "train.py"
    script.write_text("from mine.data import rows\nimport json\n")
    for name in ("mine/__init__.py", "mine/data.py", "json.py"):
        (tmp_path / name).write_text("")
    found_files = neighbours(script, tmp_path)
    assert found_files == [script, tmp_path / "mine" / "__init__.py", tmp_path / "mine" / "data.py"]
    with pytest.raises(sb.InputError, match="cannot be read"):
        neighbours(tmp_path / "none.py", tmp_path)


def test_what_is_installed_is_no_neighbour(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import mine, textwrap\n")
    environment = tmp_path / "env"
    (environment / "lib").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("")
    (environment / "lib" / "mine.py").write_text("")
    assert neighbours(script, environment / "lib") == [script]
    assert neighbours(script, Path(textwrap.__file__).parent) == [script]


def test_the_examples_and_the_gallery_have_no_fault() -> None:
    files = sorted([*(ROOT / "examples").glob("*.py"), *(ROOT / "src/seedbed/gallery").rglob("*.py")])
    assert len(files) > 20
    assert [each for each in lint_files(files) if each.severity == "fault"] == []
    for script in ("any_script.py", "plain_script.py"):
        assert lint_files([ROOT / "examples" / script], whole_program=True) == []


def test_reading_imports_neither_torch_nor_numpy() -> None:
    import subprocess

    code = (
        "import sys, seedbed.auditing.lint as l; l.lint_source('import torch, numpy; torch.seed()', 'it.py'); "
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy"} & set(done.stdout.rpartition("LOADED")[2].split())


def test_names_that_lead_in_circles_or_far_come_to_an_end() -> None:
    chain = "\n".join(f"x{n + 1} = x{n} if c else x{n}" for n in range(5 * DEEP))
    check(f"x0 = set(c)\n{chain}\nfor each in x{5 * DEEP}:\n    use(each)\n")  # too far to be known: no alarm
    check("import time, random\nx0 = time.time()\nx1 = x0 or x0\nx2 = x1 or x1\nrandom.seed(3)\n")
    check("def f():\n    a = b\n    b = a\n    for x in a | b:\n        list(x)\n")
    check("a = b\nb = a\na.random.seed()\ndef g():\n    for x in a: use(x)\n    return list(a), [*b]\n")
    branches = "".join(f"        elif x == {n}:\n            a.append(x)\n" for n in range(400))
    head = "def f(s: set[str], a):\n    for x in s:  # found: set-iteration\n        if x:\n            a.sort()\n"
    check(f"{head}{branches}    return sorted(a)\n")
    check("x = " + " | ".join(["y"] * 500) + "\n" + "z = " + "-" * 90 + "1\n")


NAMES = st.sampled_from(["a", "b", "np", "torch", "random", "os", "self", "set", "x", "id", "hash"])
ATOMS = st.one_of(
    NAMES,
    st.sampled_from(
        ["1", "None", "'t'", "{1, 'a'}", "set()", "time.time()", "np.random.default_rng()", "os.listdir(a)", "{}", "[]"]
    ),
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map("({0[0]} | {0[1]})".format),
        two.map("{0[0]}.union({0[1]})".format),
        two.map("[x for x in {0[0]} if {0[1]}]".format),
        two.map("{{x: {0[0]} for x in {0[1]}}}".format),
        two.map("{0[0]}({0[1]}, *{0[0]}, **{0[1]})".format),
        two.map("({0[0]} if a else {0[1]})".format),
        two.map("({0[0]} or {0[1]})".format),
        two.map("({0[0]}, *{0[1]})".format),
        inner.map("list({})".format),
        inner.map("hash({})".format),
        inner.map("sorted({}, key=id)".format),
        inner.map("random.seed({})".format),
        inner.map("torch.empty({}).fill_(a)".format),
        inner.map("(lambda x=a, *b: {})".format),
        inner.map("(x := {})".format),
        inner.map("{}.pop()".format),
        inner.map("DataLoader(a, num_workers={})".format),
        inner.map("', '.join({})".format),
        inner.map("{}[a]".format),
    )


EXPRESSIONS = st.recursive(ATOMS, _grown, max_leaves=6)


def _block(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    def under(head: str) -> st.SearchStrategy[list[str]]:
        return st.tuples(EXPRESSIONS, NAMES, inner).map(
            lambda it: [head.format(it[0], it[1]), *(f"    {line}" for line in it[2])]
        )

    heads = (
        "for {1} in {0}:",
        "if {0}:",
        "while {0}:",
        "def {1}(a, b={0}, *x, **self):",
        "class {1}({0}):",
        "with {0} as {1}:",
        "async def {1}(self: {0}, /, *, os=1):",
    )
    tries = inner.map(
        lambda it: [
            "try:",
            *(f"    {line}" for line in it),
            "except E as a:",
            *(f"    {line}" for line in it),
            "except (E, F):",
            *(f"    {line}" for line in it),
            "finally:",
            "    pass",
        ]
    )
    matches = st.tuples(EXPRESSIONS, inner).map(
        lambda it: [f"match {it[0]}:", "    case [a, *b] | {'k': a, **b}:", *(f"        {line}" for line in it[1])]
    )
    return st.one_of(*(under(head) for head in heads), tries, matches)


STATEMENTS = st.one_of(
    EXPRESSIONS.map(lambda it: [it]),
    st.tuples(NAMES, EXPRESSIONS).map(lambda it: [f"{it[0]} = {it[1]}"]),
    st.tuples(NAMES, EXPRESSIONS).map(lambda it: [f"{it[0]} += {it[1]}"]),
    st.tuples(NAMES, EXPRESSIONS).map(lambda it: [f"{it[0]}: set[str] = {it[1]}"]),
    st.tuples(NAMES, EXPRESSIONS).map(lambda it: [f"self.{it[0]} = {it[1]}"]),
    st.tuples(NAMES, EXPRESSIONS).map(lambda it: [f"{it[0]}[0], (b, *x) = {it[1]}"]),
    NAMES.map(lambda it: [f"import numpy as {it}, os.path"]),
    NAMES.map(lambda it: [f"from torch import nn as {it}, empty"]),
    NAMES.map(lambda it: [f"del {it}"]),
    st.just(["from random import *", "pass"]),
)
PROGRAMS = st.recursive(
    STATEMENTS,
    lambda inner: st.one_of(_block(inner), st.tuples(inner, inner).map(lambda it: [*it[0], *it[1]])),
    max_leaves=8,
)


def _is_valid(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


@given(PROGRAMS.map("\n".join).filter(_is_valid), st.booleans())
@settings(deadline=None)
def test_any_program_can_be_read(text: str, whole_program: bool) -> None:
    findings = lint_source(text, "it.py", whole_program=whole_program)
    lines = text.splitlines()
    for finding in findings:
        assert finding.rule in RULES
        assert finding.code == lines[finding.line - 1].strip()
    assert findings == sorted(findings, key=lambda each: (each.file, each.line, each.rule))
    silent = "\n".join(f"{line}  # seedbed: ignore" for line in lines)
    assert lint_source(silent, "it.py", whole_program=whole_program) == []

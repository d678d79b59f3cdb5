"""Which calls draw from a global generator, and which give it a seed."""

from __future__ import annotations

import ast
import re
from typing import Literal

from seedbed.auditing.lint.contexts import called_last
from seedbed.auditing.lint.names import argument, is_none
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.words import words

Generator = Literal["python", "numpy", "torch"]
EVERY_GENERATOR: frozenset[Generator] = frozenset({"python", "numpy", "torch"})

_PYTHON = words(
    "betavariate binomialvariate choice choices expovariate gammavariate gauss getrandbits lognormvariate "
    "normalvariate paretovariate randbytes randint random randrange sample shuffle triangular uniform vonmisesvariate "
    "weibullvariate"
)
_NUMPY = words(
    "beta binomial bytes chisquare choice dirichlet exponential f gamma geometric gumbel hypergeometric laplace "
    "logistic lognormal logseries multinomial multivariate_normal negative_binomial noncentral_chisquare noncentral_f "
    "normal pareto permutation poisson power rand randint randn random random_integers random_sample ranf rayleigh "
    "sample shuffle standard_cauchy standard_exponential standard_gamma standard_normal standard_t triangular uniform "
    "vonmises wald weibull zipf"
)
_TORCH = words(
    "rand rand_like randn randn_like randint randint_like randperm normal bernoulli multinomial poisson dropout "
    "nn.functional.dropout nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d "
    "nn.functional.alpha_dropout nn.functional.gumbel_softmax utils.data.random_split"
)
_INITIALISERS = re.compile(
    r"torch\.nn\.init\.(uniform_|normal_|trunc_normal_|xavier_\w+|kaiming_\w+|orthogonal_|sparse_)"
)
_LAYERS = re.compile(
    r"torch\.nn\.(Lazy)?(Linear|Bilinear|Conv(Transpose)?[123]d|RNN|LSTM|GRU|RNNCell|LSTMCell|GRUCell|Embedding|"
    r"EmbeddingBag|MultiheadAttention|Transformer\w*)"
)
IN_PLACE = words("normal_ uniform_ random_ bernoulli_ exponential_ geometric_ cauchy_ log_normal_")

_SKLEARN = re.compile(
    r"sklearn\.[\w.]*\.(train_test_split|\w*ShuffleSplit|shuffle|resample|make_\w+|RandomForest\w+|ExtraTrees\w+|MLP\w+|"
    r"(MiniBatch)?KMeans|SGD\w+)"
)
_SEEDS_ALL = re.compile(
    r"(?!(get|parse|read|next|generate|sample|check|new|draw|choose|spawn|load|save|log|print)_|make_seed|seed_?sequence)"
    r"\w*(seed|determinis|reproduc)\w*",
    re.IGNORECASE,
)
_SEEDS_ITSELF = ("tensorflow.", "jax.", "gym.", "gymnasium.", "cupy.", "mxnet.")  # generators that are not these
_SEED_TORCH = frozenset({"torch.manual_seed", "torch.set_rng_state"})
_TRAINERS = frozenset({"transformers.Trainer", "transformers.Seq2SeqTrainer"})  # set_seed is what they begin with


def drawn(call: ast.Call, source: Source) -> Generator | None:
    """The global generator that a call draws from; None where it draws from none, or from one that it is given."""
    name = source.names.called(call)
    if name.startswith("random."):
        return "python" if name.removeprefix("random.") in _PYTHON else None
    if name.startswith("numpy.random."):
        return "numpy" if name.removeprefix("numpy.random.") in _NUMPY else None
    if _SKLEARN.fullmatch(name):
        state = argument(call, None, "random_state")
        return None if state is not None and not is_none(state) else "numpy"
    generator = argument(call, None, "generator")
    if generator is not None and not is_none(generator):
        return None
    if name.startswith("torch."):
        draws = name.removeprefix("torch.") in _TORCH or _INITIALISERS.fullmatch(name) or _LAYERS.fullmatch(name)
        shuffles = name == "torch.utils.data.DataLoader" and _is_true(argument(call, 2, "shuffle"))
        return "torch" if draws or shuffles else None
    in_place = not name and isinstance(call.func, ast.Attribute) and call.func.attr in IN_PLACE
    return "torch" if in_place else None


def seeded(call: ast.Call, source: Source, defined: frozenset[str]) -> frozenset[Generator]:
    """The global generators that a call seeds.

    Args:
        call: it.
        source: where it stands.
        defined: the names of functions that are read too, and count by what they call. Others are taken at their word:
            ``set_seed(3)``, ``fix_all_seeds(3)`` seed all.
    """
    name = source.names.called(call)
    given = [*call.args, *(each.value for each in call.keywords)]
    if name in ("random.setstate", "numpy.random.set_state"):
        return frozenset({"python" if name == "random.setstate" else "numpy"})
    if name in ("random.seed", "numpy.random.seed"):
        constant = not given or is_none(given[0])
        return frozenset() if constant else frozenset({"python" if name == "random.seed" else "numpy"})
    if name in _SEED_TORCH:
        return frozenset({"torch"})
    if name in _TRAINERS:
        return EVERY_GENERATOR
    last = called_last(call)
    if not name and isinstance(call.func, ast.Attribute) and not source.names.own_attribute(call.func):
        return frozenset()  # a method of an object, such as env.seed(3)
    if last in defined or name.startswith(("torch.", "random.", "numpy.", "builtins.", *_SEEDS_ITSELF)):
        return frozenset()
    return EVERY_GENERATOR if last and _SEEDS_ALL.fullmatch(last) and given else frozenset()


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True

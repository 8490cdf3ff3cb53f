"""What OmniSage can be told: one dataclass, three sizes.

Sections follow the specification of arXiv 2504.17811: the graph (A.1), the shape of the network (A.2), the losses
(A.3), the optimisation (A.4). Data whose times are made up, as those of citeulike-a, want ``use_time=false`` and
``ordered=false``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bowerbird.learn.train import Optimisation
from bowerbird.tables.errors import ConfigError

Aggregator = Literal["transformer", "mean", "pinsage", "graphsage", "gat", "none"]
IdMode = Literal["auto", "none", "table", "hash"]
EdgeRemoval = Literal["sample", "mask", "none"]
FoldBy = Literal["edge", "item"]

SMALL_CATALOGUE = 200_000
"""Up to this many items ``id_mode="auto"`` keeps a row per item; beyond it hashed rows."""


@dataclass(frozen=True)
class OmniSageConfig(Optimisation):
    """Settings of one OmniSage model.

    Graph:
        subsets: what walks may use and how many neighbours they keep, one text each:
            ``"saved=item-collection:item=8,collection=16"`` (name, relations joined by ``+``, kept per type). A
            relation and its reverse are one name. Empty: one subset for lists and one for all item-item relations,
            from what the store has (``item-collection``, else ``user-item``), kept as below.
        saved_items, saved_collections, linked_items: neighbours kept by the subsets made automatically.
        described_items: neighbours kept by a third automatic subset, through the nodes that say what an item is (tags,
            creators); 0 for none.
        restart, budget: of the random walk with restart (A.1).
        closing, score_grid: of the sampler. With ``closing=0, score_grid=2`` neighbourhoods change little when a graph
            grows, and a refresh embeds few nodes again.
        pruning: exponent a of the hub thinning (A.1); 1 keeps every edge, as small graphs need.
        edge_removal: what happens to the edge between an anchor and its positive in training: ``sample`` walks again
            without it, ``mask`` only hides the positive among the stored neighbours, ``none`` leaves it.
        folds: parts into which the edges between lists and items are dealt. Each step learns to foresee the edges of
            one part in a graph without that part, so that nothing in a neighbourhood gives a positive away, and
            whatever a history keeps stays visible: what inference meets. 0: the whole graph, with ``edge_removal``.
        fold_by: ``edge`` deals single edges; ``item`` deals items with all their edges, so that every positive is an
            item nobody kept yet.

    Nodes:
        aggregator: how neighbours enter: the paper's ``transformer``, or on the same neighbours ``mean``, ``pinsage``
            (importance pooling), ``graphsage`` (max pooling) and ``gat``; ``none`` reads the node's own features only.
        width, heads, layers, feedforward, dropout: of the node encoder (d, ...; feedforward as a multiple of d).
        skip: add a linear path around the aggregator.
        dim: width of the vectors (D).
        feature_dim: width of each feature before it becomes a token.
        id_mode: whether items have an identity feature: a row each, hashed rows, none, or ``auto`` by catalogue size.
        id_dropout: share of items per step whose identity is replaced by the learned "unknown" row.
        neighbour_dropout: share of nodes per step whose whole neighbourhood is blanked (A.8, isolated nodes).
        subset_dropout: share of nodes per step of which the neighbours of one subset are blanked, so that a node nobody
            kept yet, but that others point to, is nothing new.
        members: most member items whose features are averaged into a collection's own feature.

    User model:
        history_length: most recent positive events it reads.
        user_width, user_layers, user_heads, user_dropout: of the causal decoder.
        use_time: add absolute-time and gap features to its tokens.
        ordered: whether the order of a history says anything; if not, every target is asked for by the whole history.
        user_lists: add the vectors of the user's own lists to the output; needs ``folds``.
        residual: add the running mean of the item vectors to its output.
        future_days: length of the window after a sequence's end from which the future item is drawn (Delta).

    Lists:
        votes: weight of the items of a history, each of which votes for what lies near it, beside the user vector; 0
            for the user vector alone, as in the paper. Lists of validation and ``evaluate`` only, not vectors.
        vote_sharpness: how much more the nearest items of a history count than the others.
        list_votes: weight of the lists near the user vector, each of which votes for what it holds; likewise.
        list_sharpness: how much more the nearest lists count than the others.

    Tasks:
        pair_weight, feature_weight, user_weight: lambda_p, lambda_f, lambda_s of Eq. 6; 0 switches a task off.
        neighbour_pairs: share of entity pairs drawn from importance neighbourhoods, the others from logged edges.
        log_q: correct logits by the log sampling probability.
        initial_scale, learn_scale: the logit scale (clamped at 100) and whether training moves it.
        old_spaces: folders of older item signals (``<store>/signals/<name>/<release>``) that stay searchable.
        compatibility_weight: weight of the loss against each old space.
        adapter: how a new vector reaches an old space: a learned ``linear`` map, or ``identity`` (equal widths).

    Step:
        pairs, features, sequences: rows of each task per step.
        random_nodes: uniform negatives per entity type and step, among items that somebody engaged with.
        chunk_rows: rows of logits held at once.
        frequency_draws: positives drawn before training to estimate Q.

    Optimisation:
        steps, validate_every: length of the training and of the stretch between validations; everything else is
            :class:`~bowerbird.learn.train.Optimisation`'s.
    """

    subsets: tuple[str, ...] = ()
    saved_items: int = 8
    saved_collections: int = 16
    linked_items: int = 8
    described_items: int = 8
    restart: float = 0.2
    budget: int = 20_000
    closing: int = 32
    score_grid: int = 0
    pruning: float = 1.0
    edge_removal: EdgeRemoval = "mask"
    folds: int = 4
    fold_by: FoldBy = "edge"

    aggregator: Aggregator = "transformer"
    width: int = 64
    heads: int = 4
    layers: int = 1
    feedforward: int = 4
    dropout: float = 0.1
    skip: bool = True
    dim: int = 128
    feature_dim: int = 128
    id_mode: IdMode = "auto"
    id_dropout: float = 0.3
    neighbour_dropout: float = 0.1
    subset_dropout: float = 0.3
    members: int = 32

    history_length: int = 32
    user_width: int = 64
    user_layers: int = 1
    user_heads: int = 2
    user_dropout: float = 0.1
    use_time: bool = True
    ordered: bool = True
    user_lists: bool = True
    residual: bool = True
    future_days: float = 28.0

    votes: float = 0.0
    vote_sharpness: float = 10.0
    list_votes: float = 0.0
    list_sharpness: float = 20.0

    pair_weight: float = 1.0
    feature_weight: float = 0.5
    user_weight: float = 1.0
    neighbour_pairs: float = 0.5
    log_q: bool = True
    initial_scale: float = 1 / 0.07
    learn_scale: bool = True
    old_spaces: tuple[str, ...] = ()
    compatibility_weight: float = 0.5
    adapter: Literal["linear", "identity"] = "linear"

    pairs: int = 256
    features: int = 128
    sequences: int = 64
    random_nodes: int = 256
    chunk_rows: int = 256
    frequency_draws: int = 200_000

    steps: int = 500
    validate_every: int = 100
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    warmup_steps: int = 50
    validation_cases: int = 2_000

    def __post_init__(self) -> None:
        if self.pair_weight + self.feature_weight + self.user_weight <= 0:
            raise ConfigError("every task is off; set pair_weight, feature_weight or user_weight above 0")
        if self.width % self.heads or self.user_width % self.user_heads:
            raise ConfigError("width must be divisible by heads, and user_width by user_heads")
        least_one = (
            "steps",
            "validate_every",
            "pairs",
            "features",
            "sequences",
            "history_length",
            "members",
            "chunk_rows",
        )
        for name in least_one:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.folds == 1 or self.folds < 0:
            raise ConfigError(f"folds must be 0 or at least 2, got {self.folds}")
        if not 0 < self.pruning <= 1:
            raise ConfigError(f"pruning is an exponent above 0 and at most 1, got {self.pruning}")
        if min(self.votes, self.list_votes) < 0 or min(self.vote_sharpness, self.list_sharpness) <= 0:
            raise ConfigError("votes must not be negative, and their sharpness must be above 0")
        if not 0 <= self.neighbour_dropout + self.subset_dropout <= 1:
            raise ConfigError("neighbour_dropout and subset_dropout are shares that add up to at most 1")

    @classmethod
    def size(cls, size: str) -> OmniSageConfig:
        """The preset of one size: ``s`` two CPU cores, ``m`` one GPU, ``l`` the paper's shapes.

        Raises:
            ValueError: if ``size`` is none of the three.
        """
        if size == "s":
            return cls()
        if size == "m":
            return cls(
                saved_items=25, saved_collections=50, linked_items=25, pruning=0.86, edge_removal="sample",
                width=384, heads=6, dim=128, feature_dim=128,
                history_length=128, user_width=256, user_layers=2, user_heads=4, pairs=4096,
                features=2048, sequences=64, random_nodes=10_000, chunk_rows=1024, steps=20_000,
                validate_every=1000, warmup_steps=400, learning_rate=5e-4, precision="bf16",
            )  # fmt: skip
        if size == "l":
            return cls(
                saved_items=25, saved_collections=75, linked_items=50, pruning=0.86, edge_removal="sample",
                width=768, heads=12, dim=256, feature_dim=256,
                history_length=256, user_width=512, user_layers=4, user_heads=4, pairs=4096,
                features=4096, sequences=64, random_nodes=10_000, chunk_rows=1024, steps=100_000,
                validate_every=5000, warmup_steps=2000, learning_rate=5e-4, precision="bf16",
            )  # fmt: skip
        raise ValueError(f"size {size!r} is unknown; choose s, m or l")

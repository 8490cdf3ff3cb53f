"""What PinRec can be told: one dataclass, three sizes, and the presets that the claims compare.

Sections follow the specification of arXiv 2504.10507: what a token holds (A1.1), the shape of the network (A2),
the objective (A3) and the optimisation (A4). Every default works; ``PinRecConfig.size("s")`` is what the demo uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bowerbird.learn.train import Optimisation, Precision
from bowerbird.tables.view import MentionKind

IdMode = Literal["none", "table", "hash"]
InputAction = Literal["none", "add", "concat"]
Relaxation = Literal["none", "min", "mean", "softmin"]
PositiveCorrection = Literal["same", "none"]
Windows = Literal["last", "all"]


@dataclass(frozen=True)
class PinRecConfig(Optimisation):
    """Settings of one PinRec model.

    Tokens:
        history_length: most recent tokens the model reads: positive events, and mentions where they are on.
        mentions: what users name that is read beside items: search queries, titles of the lists they file items in.
            The query of a request is read right before what it brought.
        id_mode: how an item's identity enters: not at all, one row per item, or ``id_hashes`` hashed tables.
        id_dim: width of the identity part.
        id_hashes: number of hash functions in ``hash`` mode (kappa in A8).
        content_dim: width of each content feature (text, categories, vectors); 0 switches content off.
        item_signals: vectors of items that other systems emitted into the store, as ``name/release``: further content.
        item_mixer: how identity and content become one vector: ``identity``, ``linear``, ``mlp`` or ``residual``.
        use_time: add absolute-time and gap features.
        use_surface: add the surface embedding.
        input_action: whether the action taken is an input (``none`` is PinRec; the others serve ablations).
        id_dropout: share of items per step whose identity is replaced by the learned "unknown" row, so that
            items never seen in training are scored by their content.
        trend_half_lives_hours: time-decayed popularity counts added to the logit, one learned weight each;
            empty switches the trend off.
        trend_step_minutes: grid of the trend table.
        transition_half_lives_hours: half-lives over which live shares of (last item, next item) inside a session are
            averaged before they enter the logit; empty switches them off. Needs a trend and ``blend_hours``.
        blend_hours: hours at the end of the training data that the network is not trained on; the weights of its
            cosine and of the live signals are fitted on them instead. 0 keeps the weights the network learned.
        blend_cases: most events the blend is fitted on.

    Shape:
        item_dim: dimension of the shared retrieval space (De).
        width, layers, heads, dropout: the decoder.
        embedding_dropout: dropout on the decoder's input.
        head_residual: add a linear path from the hidden state to the output vector.
        initial_scale, learn_scale: the logit scale (lambda) and whether training moves it (clamped at 100).

    Objective:
        outcome_conditioning: condition the head on the target's action (A2.2).
        surface_conditioning: condition the head on the target's surface.
        condition_dropout: share of rows trained with the null condition.
        offset_buckets: number of time-offset buckets of the multi-token head (A2.3); 1 is single-token.
        targets_per_anchor: future positives drawn per anchor in multi-token training (the next one included).
        target_window: how many positions ahead a drawn target may lie (W).
        relax: intra-feed relaxation of the target (A3.3).
        relax_targets: most targets considered per anchor when relaxing.
        random_negatives: uniform negatives per step (0 = none).
        in_batch_negatives: cap on negatives taken from the batch's own positives (0 = none).
        all_negatives: use the whole catalogue instead (the limiting case of sampled softmax).
        log_q: correct logits by the log sampling probability (A3.1).
        positive_correction: whether the positive is corrected too.
        mask_same_user: a user's own items are never negatives for that user.
        anchors_per_user: cap on loss rows per window and step (0 = all).

    Optimisation:
        windows: train on the last window of each user or on every window of a long history.
        recent_days: train only on windows whose last event is this close to the wall (0 = all).
        batch_positions: target number of loss positions per batch.
        epochs, validate_every: length of the training and epochs between validations; everything else is
            :class:`~bowerbird.learn.train.Optimisation`'s.
    """

    history_length: int = 64
    mentions: tuple[MentionKind, ...] = ("query",)
    id_mode: IdMode = "table"
    id_dim: int = 128
    id_hashes: int = 4
    content_dim: int = 64
    item_signals: tuple[str, ...] = ()
    item_mixer: Literal["identity", "linear", "mlp", "residual"] = "residual"
    use_time: bool = True
    use_surface: bool = True
    input_action: InputAction = "none"
    id_dropout: float = 0.3
    trend_half_lives_hours: tuple[float, ...] = ()
    trend_step_minutes: float = 30.0
    transition_half_lives_hours: tuple[float, ...] = ()
    blend_hours: float = 0.0
    blend_cases: int = 3_000

    item_dim: int = 128
    width: int = 128
    layers: int = 2
    heads: int = 2
    dropout: float = 0.3
    embedding_dropout: float = 0.3
    head_residual: bool = True
    initial_scale: float = 12.0
    learn_scale: bool = False

    outcome_conditioning: bool = True
    surface_conditioning: bool = True
    condition_dropout: float = 0.1
    offset_buckets: int = 1
    targets_per_anchor: int = 1
    target_window: int = 64
    relax: Relaxation = "none"
    relax_targets: int = 8
    random_negatives: int = 1024
    in_batch_negatives: int = 2048
    all_negatives: bool = False
    log_q: bool = True
    positive_correction: PositiveCorrection = "none"
    mask_same_user: bool = True
    anchors_per_user: int = 64

    windows: Windows = "all"
    recent_days: float = 0.0
    batch_positions: int = 1536
    epochs: int = 20
    validate_every: int = 1
    precision: Precision = "bf16"

    @classmethod
    def size(cls, size: str) -> PinRecConfig:
        """The preset of one size: ``s`` two CPU cores, ``m`` a workstation, ``l`` the paper's shapes on a GPU.

        Raises:
            ValueError: if ``size`` is none of the three.
        """
        if size == "s":
            return cls()
        if size == "m":
            return cls(
                history_length=256, width=256, item_dim=128, id_dim=128, layers=4, heads=4,
                offset_buckets=8, targets_per_anchor=3, random_negatives=4096, in_batch_negatives=4096,
                batch_positions=8192,
            )  # fmt: skip
        if size == "l":
            return cls(
                history_length=1024, width=768, item_dim=256, id_dim=256, content_dim=256, layers=12, heads=12,
                id_mode="hash", offset_buckets=16, targets_per_anchor=4, random_negatives=16384,
                in_batch_negatives=16384, batch_positions=16384, learning_rate=3e-4, warmup_steps=2000,
            )  # fmt: skip
        raise ValueError(f"size {size!r} is unknown; choose s, m or l")

    def sasrec(self) -> PinRecConfig:
        """The same training with the switches of a SASRec: item identities and positions only, next item only."""
        return replace(
            self, mentions=(), content_dim=0, item_signals=(), item_mixer="identity", id_dim=self.item_dim,
            use_time=False, use_surface=False, input_action="none", id_dropout=0.0, trend_half_lives_hours=(),
            transition_half_lives_hours=(), blend_hours=0.0, outcome_conditioning=False, surface_conditioning=False,
            offset_buckets=1, targets_per_anchor=1, relax="none",
        )  # fmt: skip

    def unconditioned(self) -> PinRecConfig:
        """PinRec-UC: one vector per step, no outcome and no offset condition."""
        return replace(
            self,
            outcome_conditioning=False,
            surface_conditioning=False,
            offset_buckets=1,
            targets_per_anchor=1,
        )

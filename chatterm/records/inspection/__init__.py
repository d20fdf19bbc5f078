"""Questions about what happens inside the model, and their answers: data only, no torch.

A question looks at one step: the model has read all tokens of `prompt`, and what it computed at the *last* of
them is looked at (that is the step which predicts the token after them). The engine replays that step against
its cache, so a question about the conversation costs about one decode step. Heads, layers and neurons count
from 0; a block's output is called by the block's index.

Every panel and every command asks these same questions.
"""

from chatterm.records.inspection.attention import (
    AttentionHead,
    AttentionOverview,
    AttentionOverviewRead,
    AttentionRead,
    HeadPatterns,
    HeadPatternsRead,
)
from chatterm.records.inspection.edits import (
    AnyEdit,
    ApplyEdits,
    Compare,
    Compared,
    ComparedToken,
    EditsApplied,
    ScaleBlock,
    ScaleFeedForward,
    ScaleHead,
    ScaleNeuron,
    Steer,
)
from chatterm.records.inspection.embeddings import (
    Analogy,
    AnalogyRead,
    EmbeddingMap,
    EmbeddingMapRead,
    HiddenNeighbours,
    MapPoint,
    Neighbour,
    Neighbours,
    NeighboursRead,
)
from chatterm.records.inspection.lens import (
    Lens,
    LensLayer,
    LensPosition,
    LensRead,
)
from chatterm.records.inspection.parts import (
    Contributions,
    ContributionsRead,
    Neuron,
    Neurons,
    NeuronsRead,
)
from chatterm.records.inspection.question import (
    Question,
)
from chatterm.records.inspection.scores import (
    RankCurve,
    RankCurveRead,
    Score,
    Scored,
    ScoredToken,
)
from chatterm.records.inspection.selfcheck import (
    Identity,
    SelfCheck,
    SelfChecked,
)

__all__ = [
    "Analogy",
    "AnalogyRead",
    "AnyAnswer",
    "AnyEdit",
    "AnyQuestion",
    "ApplyEdits",
    "AttentionHead",
    "AttentionOverview",
    "AttentionOverviewRead",
    "AttentionRead",
    "Compare",
    "Compared",
    "ComparedToken",
    "Contributions",
    "ContributionsRead",
    "EditsApplied",
    "EmbeddingMap",
    "EmbeddingMapRead",
    "HeadPatterns",
    "HeadPatternsRead",
    "HiddenNeighbours",
    "Identity",
    "Lens",
    "LensLayer",
    "LensPosition",
    "LensRead",
    "MapPoint",
    "Neighbour",
    "Neighbours",
    "NeighboursRead",
    "Neuron",
    "Neurons",
    "NeuronsRead",
    "Question",
    "RankCurve",
    "RankCurveRead",
    "ScaleBlock",
    "ScaleFeedForward",
    "ScaleHead",
    "ScaleNeuron",
    "Score",
    "Scored",
    "ScoredToken",
    "SelfCheck",
    "SelfChecked",
    "Steer",
]

AnyQuestion = (
    Score
    | RankCurve
    | Lens
    | AttentionOverview
    | AttentionHead
    | HeadPatterns
    | Contributions
    | Neurons
    | Neighbours
    | HiddenNeighbours
    | Analogy
    | EmbeddingMap
    | ApplyEdits
    | Compare
    | SelfCheck
)
AnyAnswer = (
    Scored
    | RankCurveRead
    | LensRead
    | AttentionOverviewRead
    | AttentionRead
    | HeadPatternsRead
    | ContributionsRead
    | NeuronsRead
    | NeighboursRead
    | AnalogyRead
    | EmbeddingMapRead
    | EditsApplied
    | Compared
    | SelfChecked
)

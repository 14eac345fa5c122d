"""WHAT, learned: small modules that join a learner's activations to a mentor's. Each is sized from probes."""

from limbeck.connectors.branches import Branch, StageHead, Tail
from limbeck.connectors.dense import Critic, Encoder, MapAdapter, Restorer
from limbeck.connectors.generate import HeadProjector, MaskedGenerator, Paraphraser, Translator
from limbeck.connectors.groups import Ensemble, Fusion, Gate, PeerAttention, TrunkGate, measure_weights
from limbeck.connectors.impressions import ImpressionBank, Impressions
from limbeck.connectors.join import Connector, ContrastHead, ConvRegressor, Linear, Projector
from limbeck.connectors.judges import Judge, MapJudge
from limbeck.connectors.memory import AnswerMemory, ClassMeans, ContrastMemory, Queue
from limbeck.connectors.noise import NoisyAnswer
from limbeck.connectors.pseudo import Beside, Copy, PseudoInputs, chosen, interpolate
from limbeck.connectors.records import Replayed, Replays, SpectralRecord, UnitRecord, measure_records, strength
from limbeck.connectors.review import Review
from limbeck.connectors.route import AnchorChoice, advance
from limbeck.connectors.temperature import SampleTemperature, Temperature
from limbeck.connectors.variation import Guess

__all__ = [
    "AnchorChoice",
    "AnswerMemory",
    "Beside",
    "Branch",
    "ClassMeans",
    "Connector",
    "ContrastHead",
    "ContrastMemory",
    "ConvRegressor",
    "Copy",
    "Critic",
    "Encoder",
    "Ensemble",
    "Fusion",
    "Gate",
    "Guess",
    "HeadProjector",
    "ImpressionBank",
    "Impressions",
    "Judge",
    "Linear",
    "MapAdapter",
    "MapJudge",
    "MaskedGenerator",
    "NoisyAnswer",
    "Paraphraser",
    "PeerAttention",
    "Projector",
    "PseudoInputs",
    "Queue",
    "Replayed",
    "Replays",
    "Restorer",
    "Review",
    "SampleTemperature",
    "SpectralRecord",
    "StageHead",
    "Tail",
    "Temperature",
    "Translator",
    "TrunkGate",
    "UnitRecord",
    "advance",
    "chosen",
    "interpolate",
    "measure_records",
    "measure_weights",
    "strength",
]

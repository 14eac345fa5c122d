"""WHAT, learned: small modules that join a learner's activations to a mentor's. Each is sized from probes."""

from limbeck.connectors.branches import Branch, Tail
from limbeck.connectors.groups import Ensemble, Fusion, Gate, PeerAttention, TrunkGate, measure_weights
from limbeck.connectors.impressions import ImpressionBank, Impressions
from limbeck.connectors.join import Connector, ConvRegressor, Linear, Projector
from limbeck.connectors.judges import Judge, MapJudge

__all__ = [
    "Branch",
    "Connector",
    "ConvRegressor",
    "Ensemble",
    "Fusion",
    "Gate",
    "ImpressionBank",
    "Impressions",
    "Judge",
    "Linear",
    "MapJudge",
    "PeerAttention",
    "Projector",
    "Tail",
    "TrunkGate",
    "measure_weights",
]

"""The catalogue: one file per paper, one import line each."""

from collections.abc import Callable, Mapping
from inspect import isfunction

from limbeck.errors import unknown
from limbeck.methods.activation_boundary import activation_boundary
from limbeck.methods.adversarial import adversarial
from limbeck.methods.afd import afd
from limbeck.methods.alone import alone, alone_tree
from limbeck.methods.apprentice import apprentice_joint, apprentice_taught, apprentice_tuned
from limbeck.methods.assistant import assistant
from limbeck.methods.attention import attention, attention_paper
from limbeck.methods.born_again import born_again
from limbeck.methods.clean_labels import clean_labels
from limbeck.methods.compose import compose
from limbeck.methods.contrastive_representation import contrastive_representation
from limbeck.methods.correlation_congruence import correlation_congruence, correlation_congruence_code
from limbeck.methods.cross_modal import cross_modal
from limbeck.methods.cross_task import cross_task
from limbeck.methods.ctc_delayed import ctc_delayed
from limbeck.methods.ctkd import ctkd, ctkd_instance
from limbeck.methods.cwd import cwd
from limbeck.methods.data_distillation import data_distillation
from limbeck.methods.dense_hints import dense_hints
from limbeck.methods.densely_guided import densely_guided
from limbeck.methods.detection import detection
from limbeck.methods.detection_gan import detection_gan
from limbeck.methods.dist import dist
from limbeck.methods.distilbert import distilbert
from limbeck.methods.dkd import dkd
from limbeck.methods.factor_transfer import factor_transfer, factor_transfer_code
from limbeck.methods.few_shot import few_shot
from limbeck.methods.ffl import ffl
from limbeck.methods.fine_grained import fine_grained
from limbeck.methods.fitnets import fitnets
from limbeck.methods.fsp import fsp
from limbeck.methods.funmatch import funmatch
from limbeck.methods.generalised_distillation import generalised_distillation
from limbeck.methods.gradual import gradual
from limbeck.methods.irg import irg
from limbeck.methods.kd import kd
from limbeck.methods.kd_standardised import kd_standardised
from limbeck.methods.kdcl import kdcl_general, kdcl_linear, kdcl_minlogit, kdcl_naive
from limbeck.methods.knowledge_adaptation import knowledge_adaptation
from limbeck.methods.label_refinery import label_refinery
from limbeck.methods.ladder import ladder
from limbeck.methods.logit_regression import logit_regression
from limbeck.methods.lsl import lsl
from limbeck.methods.lupi import lupi
from limbeck.methods.mean_teacher import mean_teacher
from limbeck.methods.mgd import mgd, mgd_code
from limbeck.methods.mlkd import mlkd
from limbeck.methods.mutual import mutual
from limbeck.methods.neuron_selectivity import neuron_selectivity
from limbeck.methods.nkd import nkd
from limbeck.methods.noisy_teacher import noisy_teacher
from limbeck.methods.norm_direction import norm_direction
from limbeck.methods.ofa import ofa
from limbeck.methods.okddip import okddip, okddip_branches, okddip_code
from limbeck.methods.one import one
from limbeck.methods.own_teacher import own_teacher
from limbeck.methods.pate import pate
from limbeck.methods.pkd import pkd
from limbeck.methods.pkt import pkt
from limbeck.methods.qkd import qkd
from limbeck.methods.quantised import differentiable_quantisation, quantised_distillation
from limbeck.methods.rco import rco, rco_greedy
from limbeck.methods.records import records_all, records_spectral, records_top
from limbeck.methods.review import review
from limbeck.methods.rkd import rkd
from limbeck.methods.rld import rld
from limbeck.methods.rocket import rocket
from limbeck.methods.seed_similarity import seed_similarity
from limbeck.methods.sequence_level import sequence_level
from limbeck.methods.simclr_semi import simclr_semi
from limbeck.methods.similarity import similarity
from limbeck.methods.simkd import simkd
from limbeck.methods.skewed import adaptive, between, skewed
from limbeck.methods.soft_tree import soft_tree
from limbeck.methods.specialists import specialists
from limbeck.methods.srd import srd
from limbeck.methods.sskd import sskd
from limbeck.methods.stage_by_stage import stage_by_stage
from limbeck.methods.streams import streams
from limbeck.methods.structured import structured, structured_code
from limbeck.methods.teachers import teachers_each, teachers_gate, teachers_mean, teachers_switch
from limbeck.methods.teachers_trusted import teachers_trusted
from limbeck.methods.teachers_voted import teachers_voted
from limbeck.methods.temporal_ensembling import temporal_ensembling
from limbeck.methods.tinybert import tinybert
from limbeck.methods.variational_information import variational_information
from limbeck.methods.wkd import wkd_feature, wkd_logit
from limbeck.methods.zero_shot import zero_shot
from limbeck.plan import Method

CATALOGUE: dict[str, Callable[..., Method]] = {
    name: fn for name, fn in sorted(globals().items()) if isfunction(fn) and hasattr(fn, "paper")
}


def find(name: str) -> Callable[..., Method]:
    """The catalogue's function of that name; an unknown one offers the closest."""
    if name not in CATALOGUE:
        raise unknown("method", name, CATALOGUE)
    return CATALOGUE[name]


def make(name: str, arguments: Mapping[str, object]) -> Method:
    """The method of that name with settings as files spell them (lists become tuples)."""
    return find(name)(**{key: _tuples(value) for key, value in arguments.items()})


def _tuples(value: object) -> object:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


__all__ = [
    *CATALOGUE,
    "CATALOGUE",
    "find",
]

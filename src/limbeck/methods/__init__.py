"""The catalogue: one file per paper, one import line each."""

from collections.abc import Mapping

from limbeck.errors import unknown
from limbeck.methods.activation_boundary import activation_boundary as activation_boundary
from limbeck.methods.adversarial import adversarial as adversarial
from limbeck.methods.afd import afd as afd
from limbeck.methods.alone import alone as alone
from limbeck.methods.alone import alone_tree as alone_tree
from limbeck.methods.apprentice import apprentice_joint as apprentice_joint
from limbeck.methods.apprentice import apprentice_taught as apprentice_taught
from limbeck.methods.apprentice import apprentice_tuned as apprentice_tuned
from limbeck.methods.assistant import assistant as assistant
from limbeck.methods.attention import attention as attention
from limbeck.methods.attention import attention_paper as attention_paper
from limbeck.methods.attention_angle import attention_angle as attention_angle
from limbeck.methods.born_again import born_again as born_again
from limbeck.methods.clean_labels import clean_labels as clean_labels
from limbeck.methods.compose import compose as compose
from limbeck.methods.contrastive_pairs import contrastive_pairs as contrastive_pairs
from limbeck.methods.contrastive_representation import contrastive_representation as contrastive_representation
from limbeck.methods.correlation_congruence import correlation_congruence as correlation_congruence
from limbeck.methods.correlation_congruence import correlation_congruence_code as correlation_congruence_code
from limbeck.methods.cross_modal import cross_modal as cross_modal
from limbeck.methods.cross_task import cross_task as cross_task
from limbeck.methods.ctc_delayed import ctc_delayed as ctc_delayed
from limbeck.methods.ctkd import ctkd as ctkd
from limbeck.methods.ctkd import ctkd_instance as ctkd_instance
from limbeck.methods.cwd import cwd as cwd
from limbeck.methods.data_distillation import data_distillation as data_distillation
from limbeck.methods.dense_hints import dense_hints as dense_hints
from limbeck.methods.densely_guided import densely_guided as densely_guided
from limbeck.methods.detection import detection as detection
from limbeck.methods.detection_gan import detection_gan as detection_gan
from limbeck.methods.dist import dist as dist
from limbeck.methods.distilbert import distilbert as distilbert
from limbeck.methods.dkd import dkd as dkd
from limbeck.methods.embedding_match import embedding_match as embedding_match
from limbeck.methods.factor_transfer import factor_transfer as factor_transfer
from limbeck.methods.factor_transfer import factor_transfer_code as factor_transfer_code
from limbeck.methods.few_shot import few_shot as few_shot
from limbeck.methods.ffl import ffl as ffl
from limbeck.methods.fine_grained import fine_grained as fine_grained
from limbeck.methods.fitnets import fitnets as fitnets
from limbeck.methods.fsp import fsp as fsp
from limbeck.methods.fsp import fsp_code as fsp_code
from limbeck.methods.funmatch import funmatch as funmatch
from limbeck.methods.generalised_distillation import generalised_distillation as generalised_distillation
from limbeck.methods.global_local import global_local as global_local
from limbeck.methods.gradual import gradual as gradual
from limbeck.methods.irg import irg as irg
from limbeck.methods.kd import kd as kd
from limbeck.methods.kd_attention import kd_attention as kd_attention
from limbeck.methods.kd_standardised import kd_standardised as kd_standardised
from limbeck.methods.kdcl import kdcl_general as kdcl_general
from limbeck.methods.kdcl import kdcl_linear as kdcl_linear
from limbeck.methods.kdcl import kdcl_minlogit as kdcl_minlogit
from limbeck.methods.kdcl import kdcl_naive as kdcl_naive
from limbeck.methods.knowledge_adaptation import knowledge_adaptation as knowledge_adaptation
from limbeck.methods.label_refinery import label_refinery as label_refinery
from limbeck.methods.ladder import ladder as ladder
from limbeck.methods.lm_kd import lm_kd as lm_kd
from limbeck.methods.logit_regression import logit_regression as logit_regression
from limbeck.methods.lsl import lsl as lsl
from limbeck.methods.lupi import lupi as lupi
from limbeck.methods.mean_teacher import mean_teacher as mean_teacher
from limbeck.methods.mgd import mgd as mgd
from limbeck.methods.mgd import mgd_code as mgd_code
from limbeck.methods.mlkd import mlkd as mlkd
from limbeck.methods.mutual import mutual as mutual
from limbeck.methods.neuron_selectivity import neuron_selectivity as neuron_selectivity
from limbeck.methods.nkd import nkd as nkd
from limbeck.methods.noisy_teacher import noisy_teacher as noisy_teacher
from limbeck.methods.norm_direction import norm_direction as norm_direction
from limbeck.methods.ofa import ofa as ofa
from limbeck.methods.okddip import okddip as okddip
from limbeck.methods.okddip import okddip_branches as okddip_branches
from limbeck.methods.okddip import okddip_code as okddip_code
from limbeck.methods.on_policy import on_policy as on_policy
from limbeck.methods.one import one as one
from limbeck.methods.own_teacher import own_teacher as own_teacher
from limbeck.methods.pate import pate as pate
from limbeck.methods.pkd import pkd as pkd
from limbeck.methods.pkt import pkt as pkt
from limbeck.methods.qkd import qkd as qkd
from limbeck.methods.quantised import differentiable_quantisation as differentiable_quantisation
from limbeck.methods.quantised import quantised_distillation as quantised_distillation
from limbeck.methods.rco import rco as rco
from limbeck.methods.rco import rco_greedy as rco_greedy
from limbeck.methods.records import records_all as records_all
from limbeck.methods.records import records_spectral as records_spectral
from limbeck.methods.records import records_top as records_top
from limbeck.methods.review import review as review
from limbeck.methods.rkd import rkd as rkd
from limbeck.methods.rld import rld as rld
from limbeck.methods.rocket import rocket as rocket
from limbeck.methods.seed_similarity import seed_similarity as seed_similarity
from limbeck.methods.sequence_level import sequence_level as sequence_level
from limbeck.methods.simclr_semi import simclr_semi as simclr_semi
from limbeck.methods.similarity import similarity as similarity
from limbeck.methods.simkd import simkd as simkd
from limbeck.methods.skewed import adaptive as adaptive
from limbeck.methods.skewed import between as between
from limbeck.methods.skewed import skewed as skewed
from limbeck.methods.soft_tree import soft_tree as soft_tree
from limbeck.methods.specialists import specialists as specialists
from limbeck.methods.srd import srd as srd
from limbeck.methods.sskd import sskd as sskd
from limbeck.methods.stage_by_stage import stage_by_stage as stage_by_stage
from limbeck.methods.streams import streams as streams
from limbeck.methods.structured import structured as structured
from limbeck.methods.structured import structured_code as structured_code
from limbeck.methods.taid import taid as taid
from limbeck.methods.teacher_bounded import teacher_bounded as teacher_bounded
from limbeck.methods.teachers import teachers_each as teachers_each
from limbeck.methods.teachers import teachers_gate as teachers_gate
from limbeck.methods.teachers import teachers_mean as teachers_mean
from limbeck.methods.teachers import teachers_switch as teachers_switch
from limbeck.methods.teachers_trusted import teachers_trusted as teachers_trusted
from limbeck.methods.teachers_voted import teachers_voted as teachers_voted
from limbeck.methods.temporal_ensembling import temporal_ensembling as temporal_ensembling
from limbeck.methods.tinybert import tinybert as tinybert
from limbeck.methods.variational_information import variational_information as variational_information
from limbeck.methods.wkd import wkd_feature as wkd_feature
from limbeck.methods.wkd import wkd_logit as wkd_logit
from limbeck.methods.zero_shot import zero_shot as zero_shot
from limbeck.plan import Method
from limbeck.plan.declare import Declared, is_declared, need_types

CATALOGUE: dict[str, Declared[...]] = {name: fn for name, fn in sorted(globals().items()) if is_declared(fn)}


def find(name: str) -> Declared[...]:
    """The catalogue's function of that name; an unknown one offers the closest."""
    if name not in CATALOGUE:
        raise unknown("method", name, CATALOGUE)
    return CATALOGUE[name]


def make(name: str, arguments: Mapping[str, object]) -> Method:
    """The method of that name with settings as files spell them (lists become tuples).

    Raises `UserError` for settings that it has not, or that are of another type or out of range.
    """
    given = {key: _tuples(value) for key, value in arguments.items()}
    need_types(find(name), given)
    return find(name)(**given)


def _tuples(value: object) -> object:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value

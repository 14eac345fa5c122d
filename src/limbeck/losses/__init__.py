"""WHAT: losses, pure functions that return one value per sample; a new one is one line here.

Each states its properties where it is defined (`traits_of` reads them); `tests/laws/test_losses.py` holds it to them.
"""

from collections.abc import Callable

from torch import Tensor

from limbeck.losses.adversarial import critic_fake as critic_fake
from limbeck.losses.adversarial import critic_real as critic_real
from limbeck.losses.adversarial import fake as fake
from limbeck.losses.adversarial import fake_squares as fake_squares
from limbeck.losses.adversarial import real as real
from limbeck.losses.adversarial import real_squares as real_squares
from limbeck.losses.adversarial import slope_penalty as slope_penalty
from limbeck.losses.contrastive import info_nce as info_nce
from limbeck.losses.contrastive import noise_contrast as noise_contrast
from limbeck.losses.contrastive import nt_xent as nt_xent
from limbeck.losses.correlation import dist as dist
from limbeck.losses.correlation import dist_inter as dist_inter
from limbeck.losses.correlation import dist_intra as dist_intra
from limbeck.losses.dense import magnitude as magnitude
from limbeck.losses.dense import unit_l2 as unit_l2
from limbeck.losses.detection import background_cross_entropy as background_cross_entropy
from limbeck.losses.detection import bounded_regression as bounded_regression
from limbeck.losses.detection import smooth_l1 as smooth_l1
from limbeck.losses.divergence import adaptive_kl as adaptive_kl
from limbeck.losses.divergence import alpha_beta as alpha_beta
from limbeck.losses.divergence import jsd as jsd
from limbeck.losses.divergence import skew_kl as skew_kl
from limbeck.losses.divergence import skew_reverse_kl as skew_reverse_kl
from limbeck.losses.divergence import total_variation as total_variation
from limbeck.losses.divergence import uld as uld
from limbeck.losses.embedding import norm_direction as norm_direction
from limbeck.losses.embedding import one_minus_pearson as one_minus_pearson
from limbeck.losses.embedding import pkd as pkd
from limbeck.losses.embedding import srd as srd
from limbeck.losses.feature import activation_boundary as activation_boundary
from limbeck.losses.feature import activation_boundary_code as activation_boundary_code
from limbeck.losses.feature import batch_l2 as batch_l2
from limbeck.losses.feature import cosine as cosine
from limbeck.losses.feature import cwd as cwd
from limbeck.losses.feature import factor as factor
from limbeck.losses.feature import factor_code as factor_code
from limbeck.losses.feature import hcl as hcl
from limbeck.losses.feature import l1 as l1
from limbeck.losses.feature import l2 as l2
from limbeck.losses.feature import mgd as mgd
from limbeck.losses.feature import mse as mse
from limbeck.losses.feature import vid as vid
from limbeck.losses.inner import affinity as affinity
from limbeck.losses.inner import gaussian_transport as gaussian_transport
from limbeck.losses.inner import ickd as ickd
from limbeck.losses.inner import nst as nst
from limbeck.losses.inner import position_similarity as position_similarity
from limbeck.losses.labelled import dkd as dkd
from limbeck.losses.labelled import dkd_nontarget as dkd_nontarget
from limbeck.losses.labelled import dkd_target as dkd_target
from limbeck.losses.labelled import nkd as nkd
from limbeck.losses.labelled import ofa as ofa
from limbeck.losses.labelled import wsld as wsld
from limbeck.losses.maps import attention as attention
from limbeck.losses.maps import attention_paper as attention_paper
from limbeck.losses.maps import fsp as fsp
from limbeck.losses.maps import fsp_paper as fsp_paper
from limbeck.losses.module import Loss as Loss
from limbeck.losses.module import masked_mean as masked_mean
from limbeck.losses.module import masked_sum as masked_sum
from limbeck.losses.refined import mse_to_probabilities as mse_to_probabilities
from limbeck.losses.refined import rld_confidence as rld_confidence
from limbeck.losses.refined import rld_correlation as rld_correlation
from limbeck.losses.refined import soft_target_at as soft_target_at
from limbeck.losses.refined import target_cross_entropy as target_cross_entropy
from limbeck.losses.refined import transport as transport
from limbeck.losses.relation import batch_gram as batch_gram
from limbeck.losses.relation import class_gram as class_gram
from limbeck.losses.relation import correlation_congruence as correlation_congruence
from limbeck.losses.relation import correlation_congruence_code as correlation_congruence_code
from limbeck.losses.relation import irg_edges as irg_edges
from limbeck.losses.relation import irg_transformations as irg_transformations
from limbeck.losses.relation import irg_vertices as irg_vertices
from limbeck.losses.relation import pkt as pkt
from limbeck.losses.relation import relative_order as relative_order
from limbeck.losses.relation import relative_order_votes as relative_order_votes
from limbeck.losses.relation import rkd_angle as rkd_angle
from limbeck.losses.relation import rkd_distance as rkd_distance
from limbeck.losses.relation import similarity_preserving as similarity_preserving
from limbeck.losses.response import cross_entropy as cross_entropy
from limbeck.losses.response import drawn_cross_entropy as drawn_cross_entropy
from limbeck.losses.response import fidelity_kl as fidelity_kl
from limbeck.losses.response import kl as kl
from limbeck.losses.response import kl_to_probabilities as kl_to_probabilities
from limbeck.losses.response import logit_mse as logit_mse
from limbeck.losses.response import logit_regression as logit_regression
from limbeck.losses.response import probability_mse as probability_mse
from limbeck.losses.response import reverse_kl as reverse_kl
from limbeck.losses.response import soft_cross_entropy as soft_cross_entropy
from limbeck.losses.response import soft_labels_cross_entropy as soft_labels_cross_entropy
from limbeck.losses.response import soft_target as soft_target
from limbeck.losses.response import soft_target_cross_entropy as soft_target_cross_entropy
from limbeck.losses.sequence import ctc as ctc
from limbeck.losses.sequence import delayed_kl as delayed_kl
from limbeck.losses.sequence import n_best_nll as n_best_nll
from limbeck.losses.sequence import sequence_nll as sequence_nll
from limbeck.losses.sequence import top_k_kl as top_k_kl
from limbeck.losses.tags import binary_cross_entropy as binary_cross_entropy
from limbeck.losses.tags import binary_kl as binary_kl
from limbeck.losses.tags import binary_soft_target as binary_soft_target
from limbeck.losses.traits import Traits as Traits
from limbeck.losses.traits import loss as loss
from limbeck.losses.traits import traits_of as traits_of

CATALOGUE: tuple[Callable[..., Tensor], ...] = tuple(fn for fn in dict(globals()).values() if traits_of(fn) is not None)

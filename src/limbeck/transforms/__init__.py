"""WHAT: pure functions of tensors, between a tap and a loss; a new one is one line here."""

from limbeck.transforms.answers import attended_target as attended_target
from limbeck.transforms.answers import covariance_weights as covariance_weights
from limbeck.transforms.answers import lowest_loss_logits as lowest_loss_logits
from limbeck.transforms.answers import mean_of as mean_of
from limbeck.transforms.answers import weighted_logits as weighted_logits
from limbeck.transforms.features import angles as angles
from limbeck.transforms.features import attention_map as attention_map
from limbeck.transforms.features import class_similarity as class_similarity
from limbeck.transforms.features import flatten as flatten
from limbeck.transforms.features import flow_matrix as flow_matrix
from limbeck.transforms.features import gram as gram
from limbeck.transforms.features import hard_labels as hard_labels
from limbeck.transforms.features import match_spatial as match_spatial
from limbeck.transforms.features import normalise as normalise
from limbeck.transforms.features import pairwise_distances as pairwise_distances
from limbeck.transforms.features import permute_non_target as permute_non_target
from limbeck.transforms.features import pool_to as pool_to
from limbeck.transforms.features import probabilities as probabilities
from limbeck.transforms.features import smoothed as smoothed
from limbeck.transforms.features import standardise as standardise
from limbeck.transforms.features import tempered as tempered
from limbeck.transforms.features import top_k_with_tail as top_k_with_tail
from limbeck.transforms.features import voted_order as voted_order

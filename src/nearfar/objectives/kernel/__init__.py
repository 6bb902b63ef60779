"""What objectives are made of: pairs and sums over them, similarities, moments, relations, worlds, checks."""

from nearfar.objectives.kernel import checks, moments, prototypes, tiles
from nearfar.objectives.kernel import similarity as similar
from nearfar.objectives.kernel.info import Compared, Objective, Scalar, Views
from nearfar.objectives.kernel.relation import NOBODY, Relation
from nearfar.objectives.kernel.world import ONE, World, average, mean, mean_of_anchors

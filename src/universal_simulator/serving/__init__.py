"""A finished model outside its experiment: one folder that holds all of it, opened by an address, used on arrays.

Loading runs no code from the folder: weights are plain tensors (safetensors), everything else is JSON.
"""

from universal_simulator.inverse.observations import Observations
from universal_simulator.serving.cautions import DivergedWarning, GuidanceWarning, OutsideTrainingWarning
from universal_simulator.serving.emulator import Emulator

__all__ = ["DivergedWarning", "Emulator", "GuidanceWarning", "Observations", "OutsideTrainingWarning"]

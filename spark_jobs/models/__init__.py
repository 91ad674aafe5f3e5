"""The models: networks behind one `Ranker` contract, their training, calibration, checkpoints and the grid."""

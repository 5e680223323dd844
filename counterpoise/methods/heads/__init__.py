"""Heads: `Method().head(features, classes) -> nn.Module`, from features_BD to outputs_BC.

Legend: B batch, C classes, D features.
"""

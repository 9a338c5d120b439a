"""Fine-tuning: its settings, and the rows that a checkpoint is trained on."""

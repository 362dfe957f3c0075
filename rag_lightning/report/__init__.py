"""What a run leaves behind for a reader: tables, report.md, pictures, scores, predictions, model card."""

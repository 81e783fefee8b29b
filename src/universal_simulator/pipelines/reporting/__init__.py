"""From scores to a verdict: gates, figures, one page."""

"""The answer of a sweep: a leaderboard, leaderboard.csv, report.html, and the same for Weights & Biases."""

"""Reading finished or running runs: metrics, forecast, diagnosis, checkpoint table, report, journal."""

"""Forecasts compared with what came."""

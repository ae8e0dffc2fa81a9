"""Steering: does adding a direction make the model write about a concept?"""

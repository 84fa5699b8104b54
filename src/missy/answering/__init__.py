"""Driving one answer: who is asked, and who is asked instead."""

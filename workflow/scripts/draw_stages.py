"""The picture of the workflow's stages."""

from polyticket.figures.stages import draw_stages
from polyticket.logs import logged

with logged(snakemake.log[0]):
    draw_stages(snakemake.output.figure)

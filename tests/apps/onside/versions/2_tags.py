"""a table, a column and an index more"""
import sqlalchemy as sa
from alembic import op

revision = "4d6f8b0c2e3a"
down_revision = "3c5e7a9b1d2f"


def upgrade():
    op.create_table(
        "content_tags",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("content_items.id"), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
    )
    op.add_column("content_analysis", sa.Column("model", sa.String(40)))
    op.create_index("ix_content_analysis_model", "content_analysis", ["model"])
    op.execute("INSERT INTO content_tags (item_id, tag) SELECT id, 'old' FROM content_items")


def downgrade():
    op.drop_column("content_analysis", "model")
    op.drop_table("content_tags")

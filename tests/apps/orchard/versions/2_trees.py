"""trees"""
import sqlalchemy as sa
from alembic import op

revision = "1d2e3f4a5b6c"
down_revision = "0c1d2e3f4a5b"


def upgrade():
    if "trees" not in [c["name"] for c in sa.inspect(op.get_bind()).get_columns("beds")]:
        op.add_column("beds", sa.Column("trees", sa.Integer))


def downgrade():
    op.drop_column("beds", "trees")

"""beds"""
import sqlalchemy as sa
from alembic import op

revision = "a1b2c3d4e5f6"
down_revision = None


def upgrade():
    op.execute("CREATE SEQUENCE bed_number START 100")
    op.create_table(
        "beds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, server_default=sa.text("nextval('bed_number')")),
        sa.Column("name", sa.String(40), nullable=False, unique=True),
        sa.Column("mood", sa.Enum("dry", "wet", "flooded", name="mood"), nullable=False, server_default="dry"),
    )


def downgrade():
    op.drop_table("beds")
    op.execute("DROP TYPE mood")
    op.execute("DROP SEQUENCE bed_number")

"""where the demo's database stands"""
revision = "3c5e7a9b1d2f"
down_revision = None


def upgrade():
    pass


def downgrade():
    pass

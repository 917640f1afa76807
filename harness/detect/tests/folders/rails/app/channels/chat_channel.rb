class ChatChannel < ApplicationCable::Channel
end

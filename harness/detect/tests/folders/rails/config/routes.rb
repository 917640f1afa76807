Rails.application.routes.draw do
  mount ActionCable.server => "/live"
  get "/chat", to: "chat#index"
end
